//! Payloads as they are printed, and a reader of the output that goes away.

use super::*;

#[test]
fn a_payload_stays_on_its_line() {
    assert_eq!(text_of("230 V, grün".as_bytes()), "230 V, grün");
    assert_eq!(text_of(b"a\nb\x1b[2J"), "a\\nb\\u{1b}[2J");
    assert_eq!(text_of(&[0xff, b'a']), "\\xffa");
}

#[test]
fn a_reader_of_the_output_that_went_away_is_no_error() {
    let gone = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
    assert!(is_broken_pipe(&gone));
    assert!(!is_broken_pipe(&anyhow::Error::from(io::Error::from(io::ErrorKind::NotFound))));
}

#[test]
fn json_has_text_where_it_is_text() {
    assert_eq!(json_of("payload", b"a"), ("payload".to_owned(), "a".to_owned()));
    assert_eq!(json_of("result", &[0xff]), ("result_base64".to_owned(), "/w==".to_owned()));
}
