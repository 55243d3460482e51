//! What was recorded of one life: raw records, what they mean, what was looked up. It can be saved and replayed.

use std::{fs, path::Path};

use anyhow::{Context, ensure};

use crate::{
    capture::{
        decode::{Arch, DecodeError, decode},
        event::{Event, What},
        kernel::object,
    },
    diagnose::{facts::Facts, timeline::Timeline},
};

/// One life, complete.
#[derive(Debug)]
pub struct Recording {
    /// As the kernel side wrote them, in the order in which they were read.
    pub records: Vec<Vec<u8>>,
    pub facts: Facts,
    pub timeline: Timeline,
}

/// Version of the folder's layout.
const FORMAT: u32 = 1;

impl Recording {
    /// Writes `records.bin` (each record after its length, 32 bits little-endian), `facts.json` and `recording.json`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, folder: &Path) -> anyhow::Result<()> {
        let wrong = || format!("cannot write the recording to {}", folder.display());
        fs::create_dir_all(folder).with_context(wrong)?;
        let mut bytes = Vec::new();
        for record in &self.records {
            bytes.extend(u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend(record);
        }
        fs::write(folder.join("records.bin"), bytes).with_context(wrong)?;
        let facts = serde_json::to_string_pretty(&self.facts)?;
        fs::write(folder.join("facts.json"), facts + "\n").with_context(wrong)?;
        let about = serde_json::json!({
            "format": FORMAT,
            "kernel": self.facts.machine.kernel,
            "arch": self.facts.machine.arch,
            "object_sha256": object::hash(),
        });
        let about = serde_json::to_string_pretty(&about)? + "\n";
        fs::write(folder.join("recording.json"), about).with_context(wrong)
    }

    /// Reads what [`Self::save`] wrote. With `words` false, output is left out as if it had
    /// not been captured; what a runtime's init says is no output.
    ///
    /// # Errors
    /// A file is missing or broken, or no life is in it.
    pub fn load(folder: &Path, words: bool) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let about: serde_json::Value = serde_json::from_slice(&read("recording.json")?)?;
        ensure!(
            about["format"] == FORMAT,
            "{}: unknown format {}",
            folder.display(),
            about["format"]
        );
        let facts: Facts = serde_json::from_slice(&read("facts.json")?).context("facts.json")?;
        let records = split(&read("records.bin")?).context("records.bin")?;
        let arch = Arch::of_machine(&facts.machine.arch).context("unknown machine")?;
        let (mut events, undecodable) = events(&records, arch);
        ensure!(undecodable.is_empty(), "{}: {:?}", folder.display(), undecodable);
        if !words {
            events.retain(|event| {
                event.process.runtime_init || !matches!(event.what, What::Words(_))
            });
        }
        let timeline = Timeline::build(events).context("no life in it")?;
        Ok(Self { records, facts, timeline })
    }
}

/// Cuts `records.bin` into records.
fn split(mut bytes: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut records = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let (record, rest) =
            rest.split_at_checked(length).context("it ends in the middle of a record")?;
        records.push(record.to_vec());
        bytes = rest;
    }
    ensure!(bytes.is_empty(), "it ends in the middle of a length");
    Ok(records)
}

/// Decodes records; what cannot be decoded is returned beside.
pub fn events(records: &[Vec<u8>], arch: Arch) -> (Vec<Event>, Vec<DecodeError>) {
    let (mut events, mut errors) = (Vec::new(), Vec::new());
    for record in records {
        match decode(record, arch) {
            Ok(decoded) => events.extend(decoded),
            Err(error) => errors.push(error),
        }
    }
    (events, errors)
}
