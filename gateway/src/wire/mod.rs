//! What travels between a client and a gateway: frames, the messages in them, and the names and ids in messages. Pure. The
//! gateway and the client library share this module.

pub mod frame;
pub mod id;
pub mod message;
pub mod realm;
pub mod topic;
