//! `tracer run` beside a real containerd: every crash of a real pod must come out of `tracer crashes -o json` with its
//! namespace, pod, container, restart count and cause.

mod arming;
mod crash;
mod crowd;
mod disk;
mod ends;
mod entrypoint;
mod events;
mod greedy;
mod held;
mod inventory;
mod itself;
mod kubernetes;
mod late;
mod loops;
mod neighbours;
mod nodes;
mod pids;
mod reload;
mod restarts;
mod runtime;
mod secrets;
mod selection;
mod strangers;
mod upgrade;
#[path = "../live/verdict.rs"]
mod verdict;
mod world;
