//! Looks up what must be known about a life beyond its events. The only I/O between kernel and render.
//! It must not know verdicts, Kubernetes or the bytes of records.

mod cgroups;
mod elf;
mod elf_dynamic;
#[cfg(test)]
mod elf_fixture;
mod executable;
mod gather;
mod held;
mod holders;
mod ld_cache;
mod life;
mod listeners;
mod loader_folders;
mod loader_object;
mod loader_search;
mod locks;
mod machine;
pub mod model;
mod mounts;
mod name_servers;
mod namespace;
mod pace;
mod paths;
mod ports;
mod process_dir;
pub mod processor;
mod programs;
mod regular;
mod root;
mod shebang;
mod watches;

pub use gather::Gatherer;
pub use machine::boot_offset_ns;
pub use model::Facts;
pub use process_dir::program_of;
