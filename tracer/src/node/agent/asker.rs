//! Asks the container runtime what the node wants to know, each question in a task of its own. It must not know what an
//! answer changes.

use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use super::{
    explain,
    lives::{Explained, Question},
    runtime,
};
use crate::node::{
    attribute::{Answer, Attributor},
    health::Health,
};

/// What the runtime answered.
pub enum Reply {
    Who(u64, Box<Answer>),
    End(u64, Explained),
    /// The health knows it already.
    Runtime,
    /// A task failed.
    Lost(JoinError),
}

/// Questions that are under way; they are given up when this is dropped.
pub struct Asker {
    attributor: Arc<Attributor>,
    replies: JoinSet<Reply>,
}

impl Asker {
    pub fn new(attributor: Arc<Attributor>) -> Self {
        Self { attributor, replies: JoinSet::new() }
    }

    pub fn ask(&mut self, question: Question) {
        let attributor = self.attributor.clone();
        match question {
            Question::Who { cgroup, container_id, pod_uid } => self.replies.spawn(async move {
                let answer = attributor.identify(&container_id, pod_uid.as_deref()).await;
                Reply::Who(cgroup, Box::new(answer))
            }),
            Question::WhoLate { cgroup, container_id, pod_uid } => self.replies.spawn(async move {
                let answer = attributor.identify_late(&container_id, pod_uid.as_deref()).await;
                Reply::Who(cgroup, Box::new(answer))
            }),
            Question::End { cgroup, container_id, patience } => self.replies.spawn(async move {
                let explained = explain::explain(&attributor, &container_id, patience).await;
                Reply::End(cgroup, explained)
            }),
        };
    }

    /// Asks the runtime whether it is there, for the health.
    pub fn ask_runtime(&mut self, health: Arc<Health>) {
        let attributor = self.attributor.clone();
        self.replies.spawn(async move {
            runtime::look(&attributor, &health).await;
            Reply::Runtime
        });
    }

    /// Waits for the next answer; for ever if nothing was asked.
    pub async fn next(&mut self) -> Reply {
        match self.replies.join_next().await {
            Some(Ok(reply)) => reply,
            Some(Err(error)) => Reply::Lost(error),
            None => std::future::pending().await,
        }
    }

    /// Nobody waits for answers any longer.
    pub fn give_up(&mut self) {
        self.replies.abort_all();
    }
}
