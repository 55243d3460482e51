//! Ends for want of the memory that a runtime allows itself, long before the kernel would refuse any. It must not know how
//! words are read.

use anyhow::Result;

use crate::death::Exit::Code;
use crate::{Act, Death, Need, Stage};

pub const DEATHS: &[Death] =
    &[Death::new("memory_limit_of_php", "heap_exhausted", Code(255), memory_limit_of_php)
        .says(&["8 MiB", "memory_limit"])
        .proven()
        .needs(&[Need::Root, Need::Runtime("php")])];

fn memory_limit_of_php(_: &Stage) -> Result<Act> {
    let program = "$all = []; while (true) $all[] = str_repeat('x', 100000);";
    Ok(Act::new(["php", "-n", "-d", "memory_limit=8M", "-r", program]))
}
