//! What of the agent works, as its parts say it: readiness, liveness and the health document are made of it.
//! It must not look at anything itself.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// The agent's loop is taken for stuck when it was not heard of for so long.
const STUCK: Duration = Duration::from_secs(30);

/// Shared by the agent's parts, which set it, and the API, which shows it.
#[derive(Debug, Default)]
pub struct Health {
    state: Mutex<State>,
    heard: Mutex<Option<Instant>>,
}

/// What each part last said. The default is that of an agent that has just been started.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct State {
    pub hooks: Vec<Hook>,
    pub recorder: Recorder,
    /// `None` until it is known whether there is one.
    pub runtime: Option<Runtime>,
    pub store: Store,
    pub pins: Pins,
    pub missed: Missed,
}

/// What may have happened unseen, since the agent's start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Missed {
    /// Containers, or their main processes, for which the kernel side had no room.
    pub births: u64,
    /// Other processes, of containers that used up their share.
    pub processes: u64,
    /// Events of containers whose beginning was not recorded.
    pub strays: u64,
    /// A container may have begun or ended unseen within the last minute: the agent is not ready.
    pub recent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hook {
    pub name: String,
    /// Without it the agent is not ready.
    pub required: bool,
    pub attached: bool,
}

/// The system call recorder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorder {
    /// `auto`, `always`, `never`
    pub mode: String,
    pub attached: bool,
}

/// The container runtime's CRI socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Runtime {
    /// Its name and version, or its socket until it has answered.
    pub name: String,
    pub answering: bool,
    /// Why it does not.
    pub error: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    pub writable: bool,
    pub size_bytes: u64,
    /// Why it is not written.
    pub error: Option<String>,
    /// Where a store that was damaged was put since the agent's start.
    #[serde(default)]
    pub damaged: Option<String>,
}

/// What outlives the agent in the kernel, so that the next one is told what happened meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    pub kept: bool,
    /// Why not, where they should be.
    pub error: Option<String>,
}

impl Health {
    /// Changes what is known.
    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut locked(&self.state));
    }

    pub fn state(&self) -> State {
        locked(&self.state).clone()
    }

    /// The agent's loop says that it runs; it should each second.
    pub fn tick(&self) {
        *locked(&self.heard) = Some(Instant::now());
    }

    /// False where the loop has ticked before and is stuck.
    pub fn is_alive(&self) -> bool {
        locked(&self.heard).is_none_or(|heard| heard.elapsed() < STUCK)
    }
}

impl State {
    /// What keeps the agent from being ready, in words; empty where it is. A failing store does not: what it
    /// cannot keep is still streamed.
    pub fn lacks(&self) -> Vec<String> {
        let mut lacks = Vec::new();
        if self.hooks.is_empty() {
            lacks.push("the hooks are not attached yet".to_owned());
        }
        let missing = self.hooks.iter().filter(|hook| hook.required && !hook.attached);
        lacks.extend(missing.map(|hook| format!("hook {} is not attached", hook.name)));
        match &self.runtime {
            None => lacks.push("the container runtime was not asked yet".to_owned()),
            Some(runtime) if !runtime.answering => {
                lacks.push("the container runtime does not answer".to_owned());
            }
            Some(_) => {}
        }
        if self.missed.recent {
            lacks.push(
                "containers began or ended within the last minute for which there was no room: maybe not all ends are told"
                    .to_owned(),
            );
        }
        lacks
    }
}

/// A panic of another holder leaves a whole state behind: each change is one assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(name: &str, required: bool, attached: bool) -> Hook {
        Hook { name: name.to_owned(), required, attached }
    }

    fn runtime(answering: bool) -> Option<Runtime> {
        Some(Runtime { name: "containerd 1.7".to_owned(), answering, error: None })
    }

    #[test]
    fn an_agent_that_has_just_started_is_alive_and_not_ready() {
        let health = Health::default();
        assert!(health.is_alive());
        assert_eq!(health.state().lacks().len(), 2);
    }

    #[test]
    fn ready_means_required_hooks_attached_and_the_runtime_answering() {
        let health = Health::default();
        health.set(|state| {
            state.hooks = vec![hook("exec", true, false), hook("oom", false, false)];
            state.runtime = runtime(false);
        });
        assert_eq!(
            health.state().lacks(),
            ["hook exec is not attached", "the container runtime does not answer"]
        );
        health.set(|state| {
            state.hooks[0].attached = true;
            state.runtime = runtime(true);
        });
        assert!(health.state().lacks().is_empty());
    }

    #[test]
    fn an_agent_that_missed_a_birth_a_moment_ago_is_not_ready() {
        let health = Health::default();
        health.set(|state| {
            state.hooks = vec![hook("exec", true, true)];
            state.runtime = runtime(true);
            state.missed = Missed { births: 1, recent: true, ..Missed::default() };
        });
        assert!(health.state().lacks()[0].contains("maybe not all ends are told"));
        health.set(|state| state.missed.recent = false);
        assert!(health.state().lacks().is_empty());
    }

    #[test]
    fn a_loop_that_ticks_is_alive() {
        let health = Health::default();
        health.tick();
        assert!(health.is_alive());
    }
}
