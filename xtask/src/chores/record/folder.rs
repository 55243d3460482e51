//! Folders of the corpus on disk: their size, their cleanliness, their replacement. It knows nothing of what is in them.

use std::fs;
use std::path::Path;

use ::tests::deaths;
use anyhow::{Context as _, Result, ensure};

/// More than any plain death needs; a corpus is cloned by everybody.
const LARGEST_BYTES: u64 = 200_000;

/// Folders that only one machine has; put together here, since the house rules refuse them in sources.
pub const OF_ONE_MACHINE: [&str; 2] = [concat!("/home", "/"), "/root/"];

/// Refuses a recording that names a folder of the machine it was made on.
pub fn check_paths(recording: &Path, checkout: &Path, of_one_machine: &[&str]) -> Result<()> {
    for file in files(recording)? {
        let path = recording.join(&file);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        let checkout = checkout.to_string_lossy();
        ensure!(!text.contains(&*checkout), "{file} names {checkout}, the checkout");
        for folder in of_one_machine {
            ensure!(!begins_a_path(&text, folder), "{file} names {folder}, of this machine");
        }
    }
    Ok(())
}

/// Whether `folder` is at the beginning of a path: a death may have a folder of its own by that name.
fn begins_a_path(text: &str, folder: &str) -> bool {
    text.match_indices(folder).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-".contains(c))
    })
}

/// Puts a recording in the place of the one that was there, if it is small enough; returns its size in bytes.
pub fn put(recording: &Path, place: &Path) -> Result<u64> {
    let mut bytes = 0;
    for file in files(recording)? {
        bytes += fs::metadata(recording.join(file))?.len();
    }
    ensure!(bytes <= LARGEST_BYTES, "the recording has {bytes} bytes, {LARGEST_BYTES} are allowed");
    let replace = || -> std::io::Result<()> {
        if place.exists() {
            fs::remove_dir_all(place)?;
        }
        fs::create_dir_all(place)?;
        for file in files(recording)? {
            fs::copy(recording.join(&file), place.join(&file))?;
        }
        Ok(())
    };
    replace().with_context(|| format!("cannot write {}", place.display()))?;
    Ok(bytes)
}

/// Puts every recording of one corpus into another.
pub fn move_all(from: &Path, corpus: &Path) -> Result<()> {
    for name in files(from)? {
        put(&from.join(&name), &corpus.join(&name))?;
    }
    Ok(())
}

/// Removes what was recorded of deaths that the table no longer has.
pub fn remove_unknown(corpus: &Path) -> Result<()> {
    let entries =
        fs::read_dir(corpus).with_context(|| format!("cannot list {}", corpus.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && deaths::named(&name).is_none() {
            eprintln!("removed {name}: the table has no such death");
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn files(folder: &Path) -> std::io::Result<Vec<String>> {
    let names = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<Vec<_>>>();
    let mut names = names?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_replaces_the_one_before() {
        let root = tempfile::tempdir().unwrap();
        let (recording, place) = (root.path().join("new"), root.path().join("corpus/oom"));
        for (folder, file) in [(&recording, "records.bin"), (&place, "stale.json")] {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join(file), "12345").unwrap();
        }
        assert_eq!(put(&recording, &place).unwrap(), 5);
        assert_eq!(files(&place).unwrap(), ["records.bin"]);
    }

    #[test]
    fn a_large_recording_is_refused_and_the_old_one_stays() {
        let root = tempfile::tempdir().unwrap();
        let (recording, place) = (root.path().join("new"), root.path().join("old"));
        fs::create_dir_all(&recording).unwrap();
        fs::create_dir_all(&place).unwrap();
        fs::write(recording.join("records.bin"), vec![0; 200_001]).unwrap();
        assert!(put(&recording, &place).unwrap_err().to_string().contains("200001 bytes"));
        assert!(place.exists());
    }

    #[test]
    fn a_recording_that_names_a_folder_of_this_machine_is_refused() {
        let check = |text: &str| {
            let root = tempfile::tempdir().unwrap();
            fs::write(root.path().join("facts.json"), text).unwrap();
            check_paths(root.path(), Path::new("/src/checkout"), &OF_ONE_MACHINE)
        };
        assert!(check("\"/src/checkout/target\"").is_err());
        assert!(check(concat!("\"/home", "/me/.kube\"")).is_err());
        assert!(check(concat!("\"/tmp/stage-1/home", "/.kube\"")).is_ok());
    }
}
