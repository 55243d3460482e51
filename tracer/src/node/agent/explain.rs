//! What the container runtime says of an end: why a container could not be started, and what it wrote to its log while
//! the recorder was off, or more than the recorder keeps. It must not decide what that means.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::lives::Explained;
use crate::{
    capture::event::{Stream, Words},
    linux::text::Text,
    node::attribute::Attributor,
};

/// CONTAINER_EXITED of the container runtime interface.
const EXITED: i32 = 2;
const PAUSE: Duration = Duration::from_millis(10);
/// Bytes of a log that are read, from its end.
const LOG_MAX: u64 = 64 << 10;
/// Bytes that are kept of a stream's end, and of the beginning of its last burst where that is longer.
const WORDS_MAX: usize = 4 << 10;
/// A pause this long ends a burst, as on the kernel side.
const PAUSE_NS: i128 = 300_000_000;
/// The node's root, where the agent sees the node's processes: the log's folder need not be mounted.
const NODE: &str = "/proc/1/root";

/// Asks until the runtime knows of the end, or has been waited for long enough.
pub async fn explain(attributor: &Attributor, container_id: &str, patience: Duration) -> Explained {
    let until = Instant::now() + patience;
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
    let mut streams = [(Stream::Stdout, Written::default()), (Stream::Stderr, Written::default())];
    for line in log.split(|byte| *byte == b'\n') {
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let (Some(time), Some(stream), Some(tag), Some(text)) =
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
        to.line(time, text, tag.starts_with(b"F"));
    }
    let written = streams.into_iter().filter(|(_, written)| !written.bytes.is_empty());
    written.map(|(stream, written)| written.words(stream)).collect()
}

/// What a log holds of one stream.
#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    /// Where the last burst begins, and when its last line was written.
    burst: usize,
    last: Option<Timestamp>,
}

impl Written {
    fn line(&mut self, time: &[u8], text: &[u8], ends: bool) {
        let time: Option<Timestamp> = std::str::from_utf8(time).ok().and_then(|it| it.parse().ok());
        let paused = match (self.last, time) {
            (Some(last), Some(time)) => time.as_nanosecond() - last.as_nanosecond() > PAUSE_NS,
            (None, _) | (_, None) => false,
        };
        if paused {
            self.burst = self.bytes.len();
        }
        self.last = time.or(self.last);
        self.bytes.extend_from_slice(text);
        if ends {
            self.bytes.push(b'\n');
        }
    }

    fn words(self, stream: Stream) -> Words {
        let total_bytes = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        let tail = self.bytes.len().saturating_sub(WORDS_MAX);
        let head = self.burst..(self.burst + WORDS_MAX).min(tail);
        let skipped = tail.saturating_sub(head.end);
        let head = self.bytes.get(head).unwrap_or_default();
        if !head.is_empty() && skipped == 0 {
            let whole = self.bytes[self.burst..].to_vec();
            let head = Text::default();
            let bytes = Text(whole);
            return Words { stream, head, skipped_bytes: 0, bytes, total_bytes, discarded: false };
        }
        Words {
            stream,
            head: Text(head.to_vec()),
            skipped_bytes: if head.is_empty() { 0 } else { u64::try_from(skipped).unwrap_or(0) },
            bytes: Text(self.bytes[tail..].to_vec()),
            total_bytes,
            discarded: false,
        }
    }
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
    fn of_long_output_the_beginning_and_the_end_are_kept() {
        let line = format!("t stdout F {}\n", "x".repeat(9000));
        let words = parse(line.as_bytes());
        assert_eq!(words[0].bytes.as_bytes().len(), WORDS_MAX);
        assert_eq!(words[0].head.as_bytes().len(), WORDS_MAX);
        assert_eq!((words[0].skipped_bytes, words[0].total_bytes), (9001 - 8192, 9001));
    }

    /// A line a millisecond, from that second on.
    fn lines(second: u32, count: usize) -> Vec<u8> {
        let line = |at: usize| {
            format!("2026-01-01T00:00:{second:02}.{at:03}Z stderr F line {at:04} of {second}\n")
        };
        (0..count).map(line).collect::<String>().into_bytes()
    }

    #[test]
    fn of_a_long_last_burst_the_beginning_is_kept_too() {
        let log = [lines(1, 900), lines(3, 900)].concat();
        let words = parse(&log).remove(0);
        assert!(words.head.as_bytes().starts_with(b"line 0000 of 3\n"));
        assert!(words.bytes.as_bytes().ends_with(b"line 0899 of 3\n"));
        let kept = u64::try_from(words.head.0.len() + words.bytes.0.len()).unwrap();
        assert_eq!(words.skipped_bytes + kept, 900 * 15);
    }

    #[test]
    fn a_last_burst_that_fits_is_one_text() {
        let log = [lines(1, 900), lines(3, 400)].concat();
        let words = parse(&log).remove(0);
        assert_eq!((words.head.0.len(), words.skipped_bytes), (0, 0));
        assert!(words.bytes.as_bytes().starts_with(b"line 0000 of 3\n"));
        let short = [lines(1, 900), lines(3, 2)].concat();
        assert_eq!(parse(&short).remove(0).bytes.0.len(), WORDS_MAX);
    }
}
