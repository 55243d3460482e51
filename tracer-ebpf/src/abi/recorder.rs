//! The flight recorder: the last failed system calls of one process, in place, in lanes, and the names it asked for.

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
    /// ENOENT and ENOTDIR of calls that only look whether a path is there.
    pub const LOOKED: usize = 4;
}

/// First slot of each lane; that of LOOKED lies in `Calls::looked`.
pub const LANE_START: [usize; 5] = [0, 12, 20, 28, SLOTS];
/// Slots of each lane.
pub const LANE_SIZE: [usize; 5] = [12, 8, 8, 4, LOOKED_SLOTS];
/// Slots of one process that `Calls::calls` holds.
pub const SLOTS: usize = 32;
pub const LOOKED_SLOTS: usize = 8;
pub const ALL_SLOTS: usize = SLOTS + LOOKED_SLOTS;
/// Names asked for that one process keeps.
pub const LOOKUPS: usize = 8;
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
    /// A DNS message; the call's last two arguments hold the name server's address instead, 16 bytes as IPv6. Where
    /// there are `Calls::lookups` these hold them instead.
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
    /// The same name was opened, or the same address connected to, later on.
    pub const MADE_GOOD: u16 = 8;
    /// Another address was connected to later on, at the same port.
    pub const SAME_PORT_LATER: u16 = 16;
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
    /// What else is known of the call in a slot. A call like one that is there already (same number, error and object)
    /// takes its slot, so that what is repeated evicts nothing.
    More [32] {
        /// Of the object: the last name of a path, an address with its port. 0 where there is none.
        key: u64,
        /// Time of the first of its kind.
        first_ns: u64,
        /// Of number, error and object.
        like: u32,
        /// How often it came again.
        repeats: u32,
        /// Successful opens and connects of the process by then, as far as they were counted.
        opened: u32,
        connected: u32,
    }
}

record! {
    /// Answers to one name, of one record type.
    Answer [4] {
        /// 0 where none came, else its code and one (RFC 1035 4.1.1).
        code: u8,
        /// Questions, at most 255.
        asked: u8,
        records: u16,
    }
}

record! {
    /// One name that was asked for: all its questions and answers, whatever the record type.
    Lookup [256] {
        /// Time of the first question, of the last, and of the last answer (0: none).
        first_ns: u64,
        last_ns: u64,
        answered_ns: u64,
        /// Whom it was asked last, as IPv6 (an IPv4 address mapped, RFC 4291 2.5.5.2).
        server: [u8; 16],
        /// Of the process's calls and questions, by then; 0 marks an empty slot.
        seq: u32,
        /// Of the name.
        like: u32,
        /// System call numbers of the last question and the last answer.
        asked_by: u32,
        answered_by: u32,
        tid: u32,
        fd: i32,
        asked: u32,
        /// Of A, AAAA and other questions.
        answers: [Answer; 3],
        size: u16,
        /// As in [`Call`].
        socket: u16,
        /// The last question, cut at 168 bytes.
        message: [u8; DATA],
        _pad: u32,
    }
}

record! {
    /// The recorder of one process, as kept in the map and as sent at its end: without what it has no use for at its end.
    Calls [13072] {
        header: Header,
        /// Failed calls ever seen.
        seen: u32,
        /// Calls ever kept in each of the first four lanes.
        next: [u32; 4],
        _pad: u32,
        calls: [Call; SLOTS],
        /// Of the slots of `calls`, then of `looked`.
        more: [More; ALL_SLOTS],
        /// Successful opens and connects of the process in the end.
        opened: u32,
        connected: u32,
        /// Slots that are in use.
        looked_used: u32,
        lookups_used: u32,
        looked: [Call; LOOKED_SLOTS],
        lookups: [Lookup; LOOKUPS],
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
