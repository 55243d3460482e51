//! The flight recorder: the last failed system calls of one process, in place, in four lanes.

use super::header::Header;
use super::record;

/// Lanes keep frequent failures from overwriting rare ones.
pub mod lane {
    /// ENOENT and ENOTDIR of calls that take a path.
    pub const LOOKUP: usize = 0;
    /// Refusals and exhaustion: EACCES, EPERM, EROFS, ENOSPC, EMFILE, ENOMEM, ...
    pub const DENIED: usize = 1;
    /// Socket calls: connect, SO_ERROR, DNS messages, failed bind and listen.
    pub const NET: usize = 2;
    /// Every other error.
    pub const OTHER: usize = 3;
}

/// First slot of each lane.
pub const LANE_START: [usize; 4] = [0, 12, 20, 28];
/// Slots of each lane.
pub const LANE_SIZE: [usize; 4] = [12, 8, 8, 4];
/// Slots of one process.
pub const SLOTS: usize = 32;
/// Bytes of path, address or message kept in a slot.
pub const DATA: usize = 168;

/// What [`Call::data`] holds.
pub mod data_kind {
    pub const NONE: u16 = 0;
    /// A path as the program gave it.
    pub const PATH: u16 = 1;
    /// A socket address, `struct sockaddr_*`.
    pub const ADDRESS: u16 = 2;
    /// Names from the file up to the root, each ended by NUL: `app.log\0log\0var\0`.
    pub const COMPONENTS: u16 = 3;
    /// A DNS message; the call's last two arguments hold the name server's address instead, 16 bytes as IPv6.
    pub const DNS: u16 = 4;
    /// Of a refused fork: how many processes and threads the full pids cgroup holds, and its pids.max, two u64.
    pub const PIDS: u16 = 5;
}

/// Bits of [`Call::flags`].
pub mod call_flag {
    pub const TRUNCATED: u16 = 1;
    /// A message that was sent (DNS question) rather than received.
    pub const SENT: u16 = 2;
    /// A zero return that tells an error all the same: SO_ERROR, DNS answer.
    pub const REPORTED: u16 = 4;
}

record! {
    /// One failed call.
    Call [240] {
        time_ns: u64,
        /// Count of this process's failed calls at that time, from 1; 0 marks an empty slot.
        seq: u32,
        tid: u32,
        /// System call number of the machine.
        number: u32,
        /// The error, positive; EINPROGRESS for a pending connect.
        errno: i32,
        /// First five arguments.
        args: [u64; 5],
        data_kind: u16,
        flags: u16,
        data_size: u16,
        /// `sk_type` (low byte) and `sk_protocol` (high byte) of a socket call.
        socket: u16,
        data: [u8; DATA],
    }
}

record! {
    /// The recorder of one process, as kept in the map and as sent at its end.
    Calls [7808] {
        header: Header,
        /// Failed calls ever seen.
        seen: u32,
        /// Next slot of each lane, counting up for ever.
        next: [u32; 4],
        _pad: u32,
        calls: [Call; SLOTS],
    }
}

record! {
    /// A failed call whose path did not fit its slot, sent at once: header, then `path_size` bytes of path, of the
    /// kind that `call` says.
    LongCall [352] {
        header: Header,
        call: Call,
        path_size: u32,
        /// 1 if not even this is the whole path.
        path_cut: u32,
    }
}
