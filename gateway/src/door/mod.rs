//! How clients come in: the sockets, QUIC and TCP with TLS, the limits on new connections, and the connection of one client.
//! What a message means is not known here.

pub mod bind;
pub mod connection;
pub mod entrance;
pub mod flood;
pub mod keys;
pub mod limits;
mod places;
pub mod prefix;
pub mod quic;
pub mod tcp;
pub mod tls;
mod windows;
