//! The nodes below a node by the first segment of their labels: few of them in order, many in a table. Patterns and clients
//! are not known here.

use std::collections::HashMap;

use super::Node;

/// From so many nodes on a table finds them faster.
const MANY: usize = 32;

#[derive(Debug)]
#[expect(clippy::vec_box, reason = "a list of one has room for four, which are pointers")]
pub(super) enum Literals {
    /// In the order of their first segments.
    Few(Vec<Box<Node>>),
    Many(HashMap<Box<str>, Box<Node>>),
}

impl Default for Literals {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Literals {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(nodes) => nodes.len(),
            Self::Many(nodes) => nodes.len(),
        }
    }

    pub(super) fn get(&self, first: &str) -> Option<&Node> {
        match self {
            Self::Few(nodes) => Some(&nodes[place(nodes, first).ok()?]),
            Self::Many(nodes) => nodes.get(first).map(|node| &**node),
        }
    }

    pub(super) fn get_mut(&mut self, first: &str) -> Option<&mut Node> {
        match self {
            Self::Few(nodes) => {
                let place = place(nodes, first).ok()?;
                Some(&mut nodes[place])
            }
            Self::Many(nodes) => nodes.get_mut(first).map(|node| &mut **node),
        }
    }

    pub(super) fn insert(&mut self, first: &str, node: Box<Node>) {
        if let Self::Few(nodes) = self
            && nodes.len() == MANY
        {
            let nodes = std::mem::take(nodes).into_iter();
            *self = Self::Many(nodes.map(|node| (first_of(&node).into(), node)).collect());
        }
        match self {
            Self::Few(nodes) => match place(nodes, first) {
                Ok(place) => nodes[place] = node,
                Err(place) => nodes.insert(place, node),
            },
            Self::Many(nodes) => {
                nodes.insert(first.into(), node);
            }
        }
    }

    pub(super) fn remove(&mut self, first: &str) {
        match self {
            Self::Few(nodes) => {
                if let Ok(place) = place(nodes, first) {
                    nodes.remove(place);
                    nodes.shrink_to(nodes.len() * 2);
                }
            }
            Self::Many(nodes) => {
                nodes.remove(first);
                if nodes.len() < MANY / 2 {
                    let mut few: Vec<_> = nodes.drain().map(|(_, node)| node).collect();
                    few.sort_unstable_by(|a, b| first_of(a).cmp(first_of(b)));
                    *self = Self::Few(few);
                } else if nodes.len() < nodes.capacity() / 4 {
                    nodes.shrink_to(nodes.len() * 2);
                }
            }
        }
    }

    /// Takes a node out.
    pub(super) fn take_any(&mut self) -> Option<Box<Node>> {
        match self {
            Self::Few(nodes) => nodes.pop(),
            Self::Many(nodes) => {
                let first = nodes.keys().next()?.clone();
                nodes.remove(&first)
            }
        }
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = &Node> + '_> {
        match self {
            Self::Few(nodes) => Box::new(nodes.iter().map(|node| &**node)),
            Self::Many(nodes) => Box::new(nodes.values().map(|node| &**node)),
        }
    }
}

fn first_of(node: &Node) -> &str {
    node.label.split('.').next().unwrap_or_default()
}

fn place(nodes: &[Box<Node>], first: &str) -> Result<usize, usize> {
    nodes.binary_search_by(|node| first_of(node).cmp(first))
}
