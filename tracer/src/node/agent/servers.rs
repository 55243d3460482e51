//! Servers of the API. It must not know what they answer.

use tokio::{sync::watch, task::JoinSet};

use crate::node::api::{self, Listener};

/// They serve until they are ended.
pub struct Servers {
    closing: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Servers {
    pub fn new() -> Self {
        Self { closing: watch::Sender::new(false), tasks: JoinSet::new() }
    }

    pub fn add(&mut self, listener: Listener, router: axum::Router) {
        self.tasks.spawn(api::serve(listener, router, self.closing.subscribe()));
    }

    pub async fn end(mut self) {
        self.closing.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}
