//! Server-sent events, taken apart as they arrive. It must not know what they tell.

/// Bytes of an event that is not whole yet.
#[derive(Default)]
pub struct Parser {
    rest: Vec<u8>,
}

impl Parser {
    /// The data of each event that `bytes` complete; comments, such as heartbeats, are left out.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = self.rest.drain(..end + 2).collect();
            let event = String::from_utf8_lossy(&event);
            let data: Vec<&str> = event
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .map(|data| data.strip_prefix(' ').unwrap_or(data))
                .collect();
            if !data.is_empty() {
                events.push(data.join("\n"));
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_whatever_the_pieces_they_come_in() {
        let stream = ":\n\nevent: exec\ndata: {\"a\":1}\n\ndata: one\ndata: two\n\ndata: not yet";
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let pieces = stream.as_bytes().chunks(size);
            let events: Vec<String> = pieces.flat_map(|piece| parser.take(piece)).collect();
            assert_eq!(events, ["{\"a\":1}", "one\ntwo"], "{size}");
        }
    }
}
