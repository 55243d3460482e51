//! Readers of the store, off the event loop: as many at a time as the agent can spare. It must not know what
//! is read.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;

use super::error::ApiError;
use crate::node::store::{Reader, StoreError};

/// Readers at one time; more requests wait.
const MOST: usize = 4;

pub struct Readers {
    path: PathBuf,
    room: Semaphore,
    /// Open and not in use.
    idle: Arc<Mutex<Vec<Reader>>>,
}

impl Readers {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), room: Semaphore::new(MOST), idle: Arc::default() }
    }

    /// Runs `read` on a thread that may wait. A reader that has failed is not used again.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let gone = || ApiError::unavailable("the agent is ending: ask again later");
        let _room = self.room.acquire().await.map_err(|_| gone())?;
        let (idle, path) = (self.idle.clone(), self.path.clone());
        let task = tokio::task::spawn_blocking(move || {
            let reader = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let reader = reader.filter(|reader| reader.reads(&path));
            let reader = reader.map_or_else(|| Reader::open(&path), Ok)?;
            let found = read(&reader)?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            Ok(found)
        });
        task.await.map_err(|_| gone())?.map_err(|error: StoreError| error.into())
    }
}
