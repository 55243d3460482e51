//! What is looked up while events are taken: it may be gone a moment later, so that no action can do it.

use crate::{
    capture::event::{Event, Process},
    diagnose::{facts::Facts, timeline::Timeline},
    linux::text::Text,
};

/// Who looks things up for the node.
pub trait Gather {
    /// Looks at what an event points at.
    fn observe(&mut self, event: &Event);

    /// Program and arguments of a process; `None` where it has ended.
    fn program(&mut self, process: &Process) -> Option<(Text, Vec<Text>)>;

    /// All that is known of a life beyond its events.
    fn finish(&mut self, timeline: &Timeline) -> Facts;
}
