//! The store: what the node remembers, one SQLite file in WAL mode. One [`Writer`] at a time, any number of
//! [`Reader`]s, and anybody's `sqlite3`. It must not know the kernel, decide anything, or render anything.

mod aside;
mod bounds;
mod changes;
mod columns;
mod database;
mod error;
mod events;
mod life;
mod lives;
mod queue;
mod reader;
mod schema;
mod select;
mod shape;
mod statistics;
mod write;
mod writer;

pub use bounds::Options;
pub use error::StoreError;
pub use events::{Events, StoredEvent};
pub use life::{End, Life, LifeKey};
pub use reader::{Reader, StoredCrash};
pub use select::{EventFilter, Filter, LabelTest, Selector};
pub use statistics::Statistics;
pub use write::{NewCrash, Recorded};
pub use writer::Writer;

#[cfg(test)]
mod tests;
