//! Recordings of the wild set in the repository: one small archive for each death. It knows nothing of what is in them.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::chores::record::folder;
use crate::means::workspace;

/// More than any death of this set needs; hundreds of them are cloned by everybody.
const LARGEST_BYTES: u64 = 25_000;

/// Folders that only one machine has. Root's home is on all, and programs look for their settings there.
const OF_ONE_MACHINE: [&str; 1] = [concat!("/home", "/")];

/// Packs the files of a recording into the archive of this death and returns its size.
pub fn keep(recording: &Path, name: &str) -> Result<u64> {
    folder::check_paths(recording, &workspace::root(), &OF_ONE_MACHINE)?;
    let place = ::tests::wild::recording(name);
    let packed =
        packed(recording).with_context(|| format!("cannot pack {}", recording.display()))?;
    let bytes = packed.len() as u64;
    ensure!(bytes <= LARGEST_BYTES, "the recording has {bytes} bytes, {LARGEST_BYTES} are allowed");
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    // Never half of one, if this is stopped or somebody reads meanwhile.
    let part = workspace::cache(&format!("{name}.tar.gz.part"));
    let written = fs::write(&part, packed).and_then(|()| fs::rename(&part, &place));
    written.with_context(|| format!("cannot write {}", place.display()))?;
    Ok(bytes)
}

/// Removes the archives of deaths that are no longer told of.
pub fn remove_others(names: &[&str]) -> Result<()> {
    let Ok(entries) = fs::read_dir(::tests::wild::recordings()) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if !names.iter().any(|name| ::tests::wild::recording(name) == path) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// The same files give the same bytes: no times, no owners.
fn packed(recording: &Path) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    archive.mode(tar::HeaderMode::Deterministic);
    for name in ["facts.json", "recording.json", "records.bin"] {
        archive.append_file(name, &mut File::open(recording.join(name))?)?;
    }
    Ok(archive.into_inner()?.finish()?)
}
