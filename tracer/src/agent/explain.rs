//! What the container runtime says of an end: why a container could not be started, and what it wrote to its log while
//! the recorder was off. It must not decide what that means.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    attribute::Attributor,
    event::{Stream, Words},
    text::Text,
};

/// What the runtime told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explained {
    pub message: Option<String>,
    /// Last words, one for each stream that was written to.
    pub words: Vec<Words>,
}

/// CONTAINER_EXITED of the container runtime interface.
const EXITED: i32 = 2;
/// The runtime notices an end a moment after the kernel.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(10);
/// Bytes of a log that are read, from its end.
const LOG_MAX: u64 = 16 << 10;
/// Bytes that are kept of a stream, as of a stream that the kernel side watches.
const WORDS_MAX: usize = 4 << 10;
/// The node's root, where the agent sees the node's processes: the log's folder need not be mounted.
const NODE: &str = "/proc/1/root";

/// Asks until the runtime knows of the end, for half a second at most.
pub async fn explain(attributor: &Attributor, container_id: &str) -> Explained {
    let until = Instant::now() + PATIENCE;
    loop {
        let Ok(Some(status)) = attributor.status(container_id).await else {
            return Explained::default();
        };
        if status.state == EXITED || Instant::now() >= until {
            let message = Some(status.message).filter(|message| !message.is_empty());
            let log = PathBuf::from(status.log_path);
            let words = tokio::task::spawn_blocking(move || words(&log)).await;
            return Explained { message, words: words.unwrap_or_default() };
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn words(log: &Path) -> Vec<Words> {
    if log.as_os_str().is_empty() {
        return Vec::new();
    }
    let on_node = Path::new(NODE).join(log.strip_prefix("/").unwrap_or(log));
    let tail = tail(log).or_else(|_| tail(&on_node)).unwrap_or_default();
    parse(&tail)
}

fn tail(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_MAX)))?;
    let mut tail = Vec::new();
    file.take(LOG_MAX).read_to_end(&mut tail)?;
    Ok(tail)
}

/// The CRI log format: `TIME stdout|stderr P|F TEXT` a line, `P` for a line that goes on (kubelet's
/// pkg/kubelet/kuberuntime/logs). A first line that is cut is passed over.
fn parse(log: &[u8]) -> Vec<Words> {
    let mut streams = [(Stream::Stdout, Vec::new()), (Stream::Stderr, Vec::new())];
    for line in log.split(|byte| *byte == b'\n') {
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let (Some(_time), Some(stream), Some(tag), Some(text)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let [(_, stdout), (_, stderr)] = &mut streams;
        let to = match stream {
            b"stdout" => stdout,
            b"stderr" => stderr,
            _ => continue,
        };
        to.extend_from_slice(text);
        if tag.starts_with(b"F") {
            to.push(b'\n');
        }
    }
    let written = streams.into_iter().filter(|(_, bytes)| !bytes.is_empty());
    written
        .map(|(stream, bytes)| {
            let total_bytes = bytes.len() as u64;
            let last = bytes.len().saturating_sub(WORDS_MAX);
            Words {
                stream,
                head: Text::default(),
                skipped_bytes: 0,
                bytes: Text(bytes[last..].to_vec()),
                total_bytes,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_streams_of_a_log_are_told_apart_and_broken_lines_joined() {
        let log = b"cut off\n\
            2026-01-01T00:00:00.1Z stdout F listening\n\
            2026-01-01T00:00:00.2Z stderr P cannot \n\
            2026-01-01T00:00:00.2Z stderr F open it\n";
        let words = parse(log);
        assert_eq!(words[0].bytes, Text::from("listening\n"));
        assert_eq!(words[1].stream, Stream::Stderr);
        assert_eq!(words[1].bytes, Text::from("cannot open it\n"));
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        assert_eq!(parse(b""), []);
        assert_eq!(parse(b"\xff\xfe a b c d\n\n"), []);
        assert_eq!(words(Path::new("")), []);
    }

    #[test]
    fn only_the_end_of_long_output_is_kept() {
        let line = format!("t stdout F {}\n", "x".repeat(5000));
        let words = parse(line.as_bytes());
        assert_eq!(words[0].bytes.as_bytes().len(), WORDS_MAX);
        assert_eq!(words[0].total_bytes, 5001);
    }
}
