//! Says why the command ended.
use super::{Job, Recording};
use crate::crash::CrashObject;

pub fn crash(_id: &str, recording: &Recording) -> anyhow::Result<CrashObject> {
    for entry in &recording.timeline.entries { eprintln!("{} {} {:?} {:?}", entry.time_ns - recording.timeline.began_ns, entry.process.id.pid, entry.process.comm, entry.what); }
    anyhow::bail!("no")
}
pub fn print(_job: &Job, _recording: &Recording, _object: &CrashObject) -> anyhow::Result<()> { Ok(()) }
