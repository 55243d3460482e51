//! For whose share it counts what a client holds. What is shared is not known here.

use std::net::IpAddr;

use crate::wire::id::NodeId;

/// Clients that share what a realm has room for as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Those without a certificate of one network: their ids are their own choice, and may be any number.
    Network(IpAddr),
    /// A node that has proved its id.
    Node(NodeId),
}

/// A node, within the group for whose share it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    pub group: Group,
    pub node: NodeId,
}
