//! bind and listen with their results.

use super::header::Header;
use super::record;

record! {
    /// A socket address as user space gave it (`struct sockaddr_*`), cut at 128 bytes.
    Address [132] {
        size: u32,
        bytes: [u8; 128],
    }
}

/// Which call it was: [`Bind::call`].
pub mod call {
    pub const BIND: u32 = 0;
    pub const LISTEN: u32 = 1;
}

/// Bits of [`Bind::reuse`].
pub mod reuse {
    /// SO_REUSEADDR
    pub const ADDRESS: u32 = 1;
    /// SO_REUSEPORT
    pub const PORT: u32 = 2;
    /// IPV6_V6ONLY
    pub const V6_ONLY: u32 = 4;
}

record! {
    /// bind(2) or listen(2).
    Bind [280] {
        header: Header,
        /// 0 or the error, positive.
        errno: i32,
        /// One of `call`.
        call: u32,
        fd: i32,
        /// `struct socket.type`: 1 STREAM, 2 DGRAM.
        socket_type: u32,
        /// `sk_protocol`: 6 TCP, 17 UDP.
        protocol: u32,
        /// `skc_family`.
        family: u32,
        /// Local port after the call.
        port: u32,
        /// Bits of `reuse`.
        reuse: u32,
        net_ns: u32,
        backlog: u32,
        /// For listen: the local address is not read, size 0.
        address: Address,
        _pad: u32,
    }
}
