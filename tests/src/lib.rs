//! The table of deaths: every cause of the taxonomy, provoked for real by the plainest program that dies of it.
//!
//! The live tests, `cargo xtask record`, `cargo xtask demo` and the VM tests all run this one table. It knows what
//! each death is and what must be said about it; it does not know how the tracer finds out.

mod act;
pub mod agent;
pub mod binary;
mod bundle;
mod cgroup;
pub mod cri;
mod death;
pub mod deaths;
pub mod fake_api;
pub mod kubernetes;
pub mod manifest;
pub mod need;
pub mod patience;
pub mod pods;
mod ready;
mod stage;
pub mod victims;
pub mod wild;

pub use act::{Act, End, Meanwhile, Ran};
pub use bundle::Bundle;
pub use death::{Death, Exit};
pub use deaths::deaths;
pub use need::Need;
pub use ready::{Ready, Said};
pub use stage::Stage;
