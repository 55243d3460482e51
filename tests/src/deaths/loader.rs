//! Deaths in the dynamic loader: libraries that are not there, or are not the ones that the program was built with.

use anyhow::Result;

use crate::death::Exit::Code;
use crate::{Act, Death, Stage};

pub const DEATHS: &[Death] = &[
    Death::new("library_gone", "shared_library_missing", Code(127), library_gone)
        .proven()
        .says(&["libgone.so.3"]),
    Death::new("plugin_gone", "shared_library_missing", Code(1), plugin_gone)
        .proven()
        .says(&["libplugin-gone.so"]),
    Death::new("plugin_needs_gone_library", "shared_library_missing", Code(1), plugin_needs)
        .proven()
        .says(&["libgone.so.3"]),
    Death::new("library_too_old", "library_version_mismatch", Code(1), library_too_old)
        .proven()
        .says(&["GREETING_2.99", "libgreeting.so.2"]),
    Death::new("glibc_too_old", "library_version_mismatch", Code(1), glibc_too_old)
        .proven()
        .says(&["GLIBC_2.99", "libc.so.6"]),
    Death::new("symbol_gone", "library_version_mismatch", Code(127), symbol_gone)
        .proven()
        .says(&["greet"]),
];

fn library_gone(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("needs_gone_library")]))
}

fn plugin_gone(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("plugin_host"), "libplugin-gone.so"]))
}

fn plugin_needs(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("plugin_host"), &stage.path("plugin_needing_gone.so")]))
}

fn library_too_old(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("needs_newer_library")]))
}

fn glibc_too_old(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("needs_newer_glibc")]))
}

fn symbol_gone(stage: &Stage) -> Result<Act> {
    Ok(Act::new([&stage.path("needs_gone_symbol")]))
}
