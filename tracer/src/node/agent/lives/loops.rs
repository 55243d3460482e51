//! Crash loops: the same container of the same pod ending again and again. It must not know why. Pure.

use std::collections::{HashMap, VecDeque};

/// Containers that are remembered; the oldest gives way.
const REMEMBERED: usize = 2048;

/// One container of one pod, whichever instance of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerOfPod {
    pub pod_uid: String,
    pub container: String,
}

/// How an end fits to those before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recurrence {
    /// Crashes of this place in a row that were seen, this one included.
    pub crashes: u32,
    /// Why the one before ended; `None` for the first.
    pub previous_cause: Option<String>,
}

/// The last end of each place.
#[derive(Debug, Default)]
pub struct Loops {
    places: HashMap<ContainerOfPod, (u32, String)>,
    order: VecDeque<ContainerOfPod>,
}

impl Loops {
    /// Notes a crash of a place.
    pub fn crashed(&mut self, place: ContainerOfPod, cause: &str) -> Recurrence {
        let known = self.places.get(&place).cloned();
        let again = match known {
            Some((crashes, previous)) => {
                Recurrence { crashes: crashes.saturating_add(1), previous_cause: Some(previous) }
            }
            None => Recurrence { crashes: 1, previous_cause: None },
        };
        self.remember(place, again.crashes, cause);
        again
    }

    /// Notes an end that was none: the loop is over.
    pub fn ended_well(&mut self, place: &ContainerOfPod) {
        self.places.remove(place);
        self.order.retain(|known| known != place);
    }

    fn remember(&mut self, place: ContainerOfPod, crashes: u32, cause: &str) {
        if self.places.insert(place.clone(), (crashes, cause.to_owned())).is_some() {
            return;
        }
        self.order.push_back(place);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.places.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(container: &str) -> ContainerOfPod {
        ContainerOfPod { pod_uid: "u".to_owned(), container: container.to_owned() }
    }

    #[test]
    fn crashes_of_one_container_count_up_with_the_cause_before() {
        let mut loops = Loops::default();
        assert_eq!(
            loops.crashed(place("a"), "oom_killed"),
            Recurrence { crashes: 1, previous_cause: None }
        );
        let second = loops.crashed(place("a"), "segfault");
        assert_eq!(
            second,
            Recurrence { crashes: 2, previous_cause: Some("oom_killed".to_owned()) }
        );
        assert_eq!(loops.crashed(place("b"), "segfault").crashes, 1);
    }

    #[test]
    fn an_end_that_was_wanted_ends_the_loop() {
        let mut loops = Loops::default();
        loops.crashed(place("a"), "oom_killed");
        loops.ended_well(&place("a"));
        assert_eq!(loops.crashed(place("a"), "oom_killed").crashes, 1);
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut loops = Loops::default();
        for index in 0..=REMEMBERED {
            loops.crashed(place(&index.to_string()), "abort");
        }
        assert_eq!(loops.crashed(place("0"), "abort").crashes, 1);
        assert_eq!(loops.crashed(place("2"), "abort").crashes, 2);
    }
}
