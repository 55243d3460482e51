//! Switches the system call recorder, and leaves it to the next agent. When it is on is decided in `node`.

use super::{clock::now, running::Agent};

impl Agent {
    /// Switches the recorder as the state of the containers wants it.
    pub fn switch_recorder(&mut self) {
        let wanted = self.node.wants_recorder(now());
        self.switch_to(wanted);
    }

    /// Switches it on until its state is decided about, unless it is never to be on.
    pub fn hold_recorder(&mut self) {
        self.switch_to(self.node.may_record());
    }

    /// At the agent's end. Where its programs stay, so does the recorder until the next agent decides: meanwhile nobody
    /// could switch it on for what begins.
    pub fn leave_recorder(&mut self) {
        if self.setup.pins.is_none() {
            return self.switch_to(false);
        }
        self.hold_recorder();
        if self.hands.programs.is_armed() {
            tracing::info!("the recorder stays on for the next agent");
        }
    }

    fn switch_to(&mut self, wanted: bool) {
        let (programs, metrics) = (&mut self.hands.programs, &self.setup.metrics);
        if wanted != programs.is_armed() {
            let switched = if wanted { programs.arm() } else { programs.disarm() };
            match switched {
                Ok(()) => {
                    if !wanted {
                        self.node.recorder_is_off(now());
                    }
                    metrics.recorder_switches.inc();
                    tracing::debug!(attached = wanted, "recorder switched");
                }
                Err(error) => tracing::error!(%error, "the recorder cannot be switched"),
            }
        }
        metrics.recorder_attached.set(i64::from(programs.is_armed()));
    }
}
