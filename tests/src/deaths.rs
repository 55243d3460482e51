//! The table itself, one file for each family of causes.

mod bind;
mod container;
mod exceptions;
mod exec;
mod exits;
mod faults;
mod files;
mod heaps;
mod limits;
mod loader;
mod network;
mod oom;
mod signals;
mod stopped;

use crate::death::Death;

/// Every family with its deaths, in the order of the taxonomy.
pub const FAMILIES: &[(&str, &[Death])] = &[
    ("exec", exec::DEATHS),
    ("container", container::DEATHS),
    ("oom", oom::DEATHS),
    ("stopped", stopped::DEATHS),
    ("heaps", heaps::DEATHS),
    ("faults", faults::DEATHS),
    ("signals", signals::DEATHS),
    ("loader", loader::DEATHS),
    ("bind", bind::DEATHS),
    ("files", files::DEATHS),
    ("limits", limits::DEATHS),
    ("network", network::DEATHS),
    ("exceptions", exceptions::DEATHS),
    ("exits", exits::DEATHS),
];

/// All deaths, in the order of the taxonomy.
pub fn deaths() -> impl Iterator<Item = &'static Death> {
    FAMILIES.iter().flat_map(|(_, deaths)| deaths.iter())
}

/// The death of this name.
pub fn named(name: &str) -> Option<&'static Death> {
    deaths().find(|death| death.name == name)
}
