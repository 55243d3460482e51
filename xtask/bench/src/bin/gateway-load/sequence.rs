//! Payloads that carry their number, and the check that each came once and in order. It is pure.

/// Where the number is in a payload, as 64 bits, big-endian.
pub const NUMBER_BYTES: usize = 8;

/// A payload of so many bytes with number 0.
pub fn payload(size: usize) -> Vec<u8> {
    let mut payload = vec![0x5a; size];
    payload[..NUMBER_BYTES].fill(0);
    payload
}

pub fn number(payload: &[u8]) -> Option<u64> {
    payload.first_chunk().map(|number| u64::from_be_bytes(*number))
}

/// What one subscriber has seen of one publisher.
#[derive(Debug)]
pub struct Sequence {
    size: usize,
    next: u64,
    in_order: bool,
}

impl Sequence {
    pub fn new(size: usize) -> Self {
        Self { size, next: 0, in_order: true }
    }

    /// Takes the next payload.
    pub fn take(&mut self, payload: &[u8]) {
        let is_next = number(payload) == Some(self.next) && payload.len() == self.size;
        self.in_order &= is_next;
        self.next += 1;
    }

    /// How many came.
    pub fn count(&self) -> u64 {
        self.next
    }

    /// Each so far was the one after the one before, and whole.
    pub fn is_in_order(&self) -> bool {
        self.in_order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in_order(numbers: &[u64]) -> bool {
        let mut sequence = Sequence::new(16);
        for number in numbers {
            let mut payload = payload(16);
            payload[..8].copy_from_slice(&number.to_be_bytes());
            sequence.take(&payload);
        }
        assert_eq!(sequence.count(), numbers.len() as u64);
        sequence.is_in_order()
    }

    #[test]
    fn what_is_missing_twice_or_late_is_seen() {
        assert!(is_in_order(&[0, 1, 2]));
        assert!(!is_in_order(&[0, 2]));
        assert!(!is_in_order(&[0, 0, 1]));
        assert!(!is_in_order(&[1, 0]));
    }

    #[test]
    fn a_payload_of_another_length_is_not_the_one_that_was_sent() {
        let mut sequence = Sequence::new(16);
        sequence.take(&payload(17));
        assert!(!sequence.is_in_order());
        let mut sequence = Sequence::new(16);
        sequence.take(b"short");
        assert!(!sequence.is_in_order());
    }
}
