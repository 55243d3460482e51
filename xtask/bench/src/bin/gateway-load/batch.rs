//! Many messages as one write: they are encoded once, and then only their numbers change. What is measured is the server, so
//! sending must cost little. It is pure.

use crate::sequence::{NUMBER_BYTES, payload};

/// Bytes of one write, unless one message is more.
const WRITE: usize = 64 << 10;

/// Encoded messages of one length, one behind the other.
#[derive(Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Bytes of an encoded message, and where its payload begins.
    stride: usize,
    begins: usize,
    next: u64,
}

impl Batch {
    /// Of payloads of `size` bytes as `encode` encodes them.
    pub fn new(size: usize, encode: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let body = payload(size);
        let message = encode(&body);
        // The payload is in one piece somewhere.
        let begins = message.windows(size).position(|found| found == body).unwrap_or_default();
        let count = (WRITE / message.len()).max(1);
        Self { stride: message.len(), begins, bytes: message.repeat(count), next: 0 }
    }

    /// Messages that fit.
    pub fn most(&self) -> u64 {
        (self.bytes.len() / self.stride) as u64
    }

    /// The next messages: `count` of them, or as many as fit.
    pub fn take(&mut self, count: u64) -> &[u8] {
        let count = usize::try_from(count.min(self.most())).unwrap_or(usize::MAX);
        for message in self.bytes.chunks_exact_mut(self.stride).take(count) {
            let number = &mut message[self.begins..self.begins + NUMBER_BYTES];
            number.copy_from_slice(&self.next.to_be_bytes());
            self.next += 1;
        }
        &self.bytes[..count * self.stride]
    }

    /// Messages taken so far.
    pub fn taken(&self) -> u64 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heard::Heard;
    use crate::sequence::Sequence;
    use crate::wire::Wire;

    #[test]
    fn numbers_go_on_from_one_write_to_the_next_in_every_protocol() {
        for wire in [Wire::Macula, Wire::Nats, Wire::Mqtt] {
            let mut batch = Batch::new(300, |body| match wire {
                // Its server passes PUB on as MSG.
                Wire::Nats => [b"MSG bench.load 1 300\r\n", body, b"\r\n"].concat(),
                Wire::Macula | Wire::Mqtt => wire.publish(body),
            });
            let mut sequence = Sequence::new(300);
            for count in [3, 1, u64::MAX] {
                let mut bytes = batch.take(count);
                while let Some((Heard::Message(message), taken)) = wire.parse(bytes).unwrap() {
                    sequence.take(message.body);
                    bytes = &bytes[taken..];
                }
                assert!(bytes.is_empty());
            }
            assert_eq!(sequence.count(), 4 + batch.most());
            assert_eq!(sequence.count(), batch.taken());
            assert!(sequence.is_in_order(), "{wire:?}");
        }
    }

    #[test]
    fn a_large_message_is_a_write_of_its_own() {
        let mut batch = Batch::new(65_536, <[u8]>::to_vec);
        assert_eq!((batch.most(), batch.take(9).len()), (1, 65_536));
    }
}
