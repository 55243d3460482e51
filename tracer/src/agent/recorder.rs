//! Switches the system call recorder, and leaves it to the next agent. When it is on is decided in `arming`.

use super::watch::Watch;
use crate::{event::BootNs, kernel::pins::Pins};

impl Watch {
    /// Switches the recorder as the state of the containers wants it.
    pub fn switch_recorder(&mut self, now: BootNs) {
        let wanted = self.arming.wanted(now);
        self.switch_to(wanted);
    }

    /// Switches it on until its state is decided about, unless it is never to be on.
    pub fn hold_recorder(&mut self) {
        self.switch_to(self.arming.may_record());
    }

    /// At the agent's end. Where its programs stay, so does the recorder until the next agent decides: meanwhile nobody
    /// could switch it on for what begins.
    pub fn leave_recorder(&mut self, pins: Option<&Pins>) {
        let Some(pins) = pins else { return self.switch_to(false) };
        self.hold_recorder();
        if !self.programs.is_armed() {
            return;
        }
        match self.programs.leave_recorder(pins) {
            Ok(()) => tracing::info!("the recorder stays on for the next agent"),
            Err(error) => tracing::error!(%error, "the recorder cannot be left on"),
        }
    }

    fn switch_to(&mut self, wanted: bool) {
        if wanted != self.programs.is_armed() {
            let switched = if wanted { self.programs.arm() } else { self.programs.disarm() };
            match switched {
                Ok(()) => {
                    if !wanted {
                        self.recorder_off_ns = super::now();
                    }
                    self.metrics.recorder_switches.inc();
                    tracing::debug!(attached = wanted, "recorder switched");
                }
                Err(error) => tracing::error!(%error, "the recorder cannot be switched"),
            }
        }
        self.metrics.recorder_attached.set(i64::from(self.programs.is_armed()));
    }
}
