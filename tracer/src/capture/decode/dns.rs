//! DNS messages (RFC 1035), as far as a failed look-up needs them: the question and the answer's code.
//! Strict: a message that is not quite one is none.

use std::net::IpAddr;

use crate::{
    capture::event::{Dns, DnsAnswer},
    linux::text::Text,
};

/// Longest name in its wire form.
const NAME_MAX: usize = 255;
const LABEL_MAX: usize = 63;

/// The one question of a standard query, and the code if the message is an answer.
pub(super) fn message(bytes: &[u8], server: Option<IpAddr>) -> Option<Dns> {
    let (_id, rest) = bytes.split_first_chunk::<2>()?;
    let ([flags, code], rest) = rest.split_first_chunk::<2>()?;
    let (questions, rest) = number(rest)?;
    let (records, rest) = number(rest)?;
    let (_authorities, rest) = number(rest)?;
    let (_additional, rest) = number(rest)?;
    let standard_query = flags & 0x78 == 0;
    if !standard_query || questions != 1 {
        return None;
    }
    let (question, rest) = name(rest)?;
    let _type_and_class = rest.first_chunk::<4>()?;
    let is_answer = flags & 0x80 != 0;
    let answer = is_answer.then_some(DnsAnswer { code: code & 0x0f, records });
    Some(Dns { question, answer, server })
}

fn number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*number), rest))
}

/// A name without compression (a first name has nothing to point back to). A dot within a label
/// cannot be told from one between labels, so it is refused.
fn name(bytes: &[u8]) -> Option<(Text, &[u8])> {
    let mut labels = Vec::new();
    let mut rest = bytes;
    let mut length = 1;
    loop {
        let (size, behind) = rest.split_first()?;
        let size = usize::from(*size);
        if size == 0 {
            return Some((Text(labels.join(&b'.')), behind));
        }
        length += size + 1;
        if size > LABEL_MAX || length > NAME_MAX {
            return None;
        }
        let (label, behind) = behind.split_at_checked(size)?;
        if label.contains(&b'.') {
            return None;
        }
        labels.push(label);
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &[u8]) -> Option<Dns> {
        super::message(bytes, None)
    }

    /// A message with one question for `labels`, type A, class IN.
    fn query(flags: [u8; 2], records: u8, labels: &[&str]) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34, flags[0], flags[1], 0, 1, 0, records, 0, 0, 0, 1];
        for label in labels {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend(label.as_bytes());
        }
        bytes.extend([0, 0, 1, 0, 1]);
        bytes
    }

    #[test]
    fn a_question_is_a_name_without_its_last_dot() {
        assert_eq!(
            message(&query([1, 0], 0, &["db", "example", "com"])),
            Some(Dns { question: Text::from("db.example.com"), answer: None, server: None })
        );
        assert_eq!(message(&query([1, 0], 0, &[])).unwrap().question, Text::default());
    }

    #[test]
    fn an_answer_has_code_and_number_of_records() {
        let answer = |flags, records| message(&query(flags, records, &["db"])).unwrap().answer;
        assert_eq!(answer([0x81, 0x83], 0), Some(DnsAnswer { code: 3, records: 0 }));
        assert_eq!(answer([0x81, 0x82], 0), Some(DnsAnswer { code: 2, records: 0 }));
        assert_eq!(answer([0x81, 0x80], 2), Some(DnsAnswer { code: 0, records: 2 }));
    }

    #[test]
    fn what_is_not_quite_a_message_is_none() {
        let whole = query([1, 0], 0, &["db", "example", "com"]);
        for size in 0..whole.len() {
            assert_eq!(message(&whole[..size]), None, "cut at {size}");
        }
        let mut two_questions = whole.clone();
        two_questions[5] = 2;
        assert_eq!(message(&two_questions), None);
        let mut compressed = whole.clone();
        compressed[12] = 0xc0;
        assert_eq!(message(&compressed), None);
        assert_eq!(message(&query([0x29, 0], 0, &["db"])), None, "an update");
        assert_eq!(message(&query([1, 0], 0, &["d.b"])), None);
        assert_eq!(message(&query([1, 0], 0, &["a".repeat(64).as_str()])), None);
        assert_eq!(message(&query([1, 0], 0, &["a".repeat(63).as_str(); 4])), None);
    }
}
