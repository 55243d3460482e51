//! Topics and the patterns that match them. Pure.
//!
//! A topic is segments with dots between them: any text without control characters, none at all too. In a pattern the
//! segment `*` is exactly one segment, `#` is zero or more, wherever it stands; `**` is another word for `#`.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use thiserror::Error;

/// The longest topic or pattern, in bytes.
pub const LONGEST: usize = 1024;
/// The most segments of a topic or pattern.
pub const MOST_SEGMENTS: usize = 64;
/// The most `#` in one pattern: nobody needs more.
const MOST_MULTI: usize = 2;

/// A topic, to which clients publish. It has no wildcards.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Text);

/// A pattern, to which clients subscribe.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(Text);

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TopicError {
    #[error("a topic is empty")]
    Empty,
    #[error("a topic has {0} bytes, {LONGEST} are allowed")]
    TooLong(usize),
    #[error("a topic has {0} segments, {MOST_SEGMENTS} are allowed")]
    TooManySegments(usize),
    /// Why a text is no topic or pattern. Columns count characters from 1.
    #[error("{topic:?} has the control character {character:?} at column {column}")]
    Control { topic: String, character: char, column: usize },
    #[error("{0:?} is a pattern: only a subscription may have a segment `*`, `#` or `**`")]
    Wildcard(String),
    #[error("{0:?} has more than {MOST_MULTI} `#`")]
    TooManyWildcards(String),
    #[error("a topic is not UTF-8")]
    NotText,
}

/// Checked text that shares the bytes of the frame it came in.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Text(Bytes);

impl Text {
    fn as_str(&self) -> &str {
        // The constructor has checked that it is UTF-8.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// A copy with bytes of its own, which do not keep a whole frame in memory.
    fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

impl Topic {
    /// # Errors
    /// The text is no topic.
    pub fn new(bytes: Bytes) -> Result<Self, TopicError> {
        let wildcards = check(&bytes)?;
        if wildcards.any {
            return Err(TopicError::Wildcard(shown(&bytes)));
        }
        Ok(Self(Text(bytes)))
    }

    pub fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        self.as_str().split('.')
    }
}

impl Pattern {
    /// # Errors
    /// The text is no pattern.
    pub fn new(bytes: Bytes) -> Result<Self, TopicError> {
        let wildcards = check(&bytes)?;
        if wildcards.multi > MOST_MULTI {
            return Err(TopicError::TooManyWildcards(shown(&bytes)));
        }
        // Patterns are compared by their text, so equal patterns get one spelling.
        let bytes = if wildcards.double { with_hashes(&bytes) } else { bytes };
        Ok(Self(Text(bytes)))
    }

    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> + Clone {
        self.as_str().split('.').map(|segment| match segment {
            "*" => Segment::One,
            "#" => Segment::Many,
            literal => Segment::Literal(literal),
        })
    }

    /// Whether the pattern matches a topic.
    pub fn matches(&self, topic: &Topic) -> bool {
        fit(self.segments(), topic.segments(), |wanted, segment| match wanted {
            Segment::Literal(literal) => literal == segment,
            Segment::One | Segment::Many => true,
        })
    }

    /// Whether the pattern matches every topic that `other` matches. It may say no where only several `#` together do so,
    /// but it never says yes where that is wrong.
    pub fn covers(&self, other: &Self) -> bool {
        fit(self.segments(), other.segments(), |wanted, segment| match wanted {
            Segment::Literal(_) => wanted == segment,
            Segment::One => segment != Segment::Many,
            Segment::Many => true,
        })
    }
}

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    Literal(&'a str),
    /// `*`: exactly one segment.
    One,
    /// `#`: zero or more segments.
    Many,
}

/// Whether the segments of `text` fit those of the pattern, with any segments in the place of a `#`. The part that the last
/// `#` stands for grows until the rest fits; a change of an earlier one would find nothing more. So the steps are no more
/// than both lengths multiplied, whatever the number of `#`.
fn fit<'a, T>(
    mut pattern: impl Iterator<Item = Segment<'a>> + Clone,
    mut text: impl Iterator<Item = T> + Clone,
    mut fits: impl FnMut(Segment<'a>, T) -> bool,
) -> bool {
    let mut last = None;
    loop {
        let goes_on = match pattern.next() {
            Some(Segment::Many) => {
                last = Some((pattern.clone(), text.clone()));
                true
            }
            Some(wanted) => text.next().is_some_and(|segment| fits(wanted, segment)),
            None if text.next().is_none() => return true,
            None => false,
        };
        if !goes_on {
            let Some((after, from)) = &mut last else { return false };
            if from.next().is_none() {
                return false;
            }
            (pattern, text) = (after.clone(), from.clone());
        }
    }
}

struct Wildcards {
    any: bool,
    multi: usize,
    /// Whether a `#` is written `**`.
    double: bool,
}

fn check(bytes: &[u8]) -> Result<Wildcards, TopicError> {
    if bytes.is_empty() {
        return Err(TopicError::Empty);
    }
    if bytes.len() > LONGEST {
        return Err(TopicError::TooLong(bytes.len()));
    }
    if !bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        check_text(bytes)?;
    }
    let mut wildcards = Wildcards { any: false, multi: 0, double: false };
    let mut segments = 0;
    for segment in bytes.split(|byte| *byte == b'.') {
        segments += 1;
        wildcards.any |= matches!(segment, b"*" | b"#" | b"**");
        wildcards.multi += usize::from(matches!(segment, b"#" | b"**"));
        wildcards.double |= segment == b"**";
    }
    if segments > MOST_SEGMENTS {
        return Err(TopicError::TooManySegments(segments));
    }
    Ok(wildcards)
}

/// Checks a text that is not all printable ASCII.
fn check_text(bytes: &[u8]) -> Result<(), TopicError> {
    let text = str::from_utf8(bytes).map_err(|_| TopicError::NotText)?;
    match text.chars().enumerate().find(|(_, character)| character.is_control()) {
        None => Ok(()),
        Some((before, character)) => {
            Err(TopicError::Control { topic: text.to_owned(), character, column: before + 1 })
        }
    }
}

fn with_hashes(bytes: &[u8]) -> Bytes {
    let segments = bytes.split(|byte| *byte == b'.');
    let named = segments.map(|segment| if segment == b"**" { &b"#"[..] } else { segment });
    named.collect::<Vec<_>>().join(&b'.').into()
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

macro_rules! text {
    ($($name:ident)*) => {
        $(
            impl $name {
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            pub fn bytes(&self) -> &Bytes {
                &self.0.0
            }

            /// A copy in memory of its own, to keep.
            pub fn detached(&self) -> Self {
                Self(self.0.detached())
            }
            }

            impl FromStr for $name {
                type Err = TopicError;

                fn from_str(text: &str) -> Result<Self, TopicError> {
                    Self::new(Bytes::copy_from_slice(text.as_bytes()))
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(self.as_str())
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Debug::fmt(self.as_str(), f)
                }
            }
        )*
    };
}

text! { Topic Pattern }

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, topic: &str, expect: bool) {
        let (of, to): (Pattern, Topic) = (pattern.parse().unwrap(), topic.parse().unwrap());
        assert_eq!(of.matches(&to), expect, "{pattern} and {topic}");
    }

    #[test]
    fn a_star_is_exactly_one_segment() {
        check("a.*", "a.b", true);
        check("a.*", "a", false);
        check("a.*", "a.b.c", false);
        check("*.b", "a.b", true);
        check("a.*.c", "a.b.c", true);
    }

    #[test]
    fn a_hash_is_any_number_of_segments_at_the_end_and_in_the_middle() {
        check("#", "a", true);
        check("a.#", "a", true);
        check("a.#", "a.b.c", true);
        check("a.#", "b", false);
        check("a.#.z", "a.z", true);
        check("a.#.z", "a.b.c.z", true);
        check("a.#.z", "a.b.c", false);
        check("#.z", "z", true);
        check("#.b.#", "a.b.c", true);
        check("#.b.#", "a.c", false);
    }

    /// By the meaning of `#`: each number of segments is tried.
    fn fits_by_trying(pattern: &[Segment<'_>], topic: &[&str]) -> bool {
        match pattern.split_first() {
            None => topic.is_empty(),
            Some((Segment::Many, rest)) => {
                (0..=topic.len()).any(|skipped| fits_by_trying(rest, &topic[skipped..]))
            }
            Some((wanted, rest)) => topic.split_first().is_some_and(|(segment, below)| {
                let fits = *wanted == Segment::One || *wanted == Segment::Literal(segment);
                fits && fits_by_trying(rest, below)
            }),
        }
    }

    proptest::proptest! {
        #[test]
        fn a_pattern_matches_as_if_every_way_was_tried(
            pattern in "[ab*#](\\.[ab*#]){0,6}", topic in "[ab](\\.[ab]){0,7}",
        ) {
            let segment = |text| match text {
                "*" => Segment::One,
                "#" => Segment::Many,
                literal => Segment::Literal(literal),
            };
            let pattern: Vec<_> = pattern.split('.').map(segment).collect();
            let topic: Vec<_> = topic.split('.').collect();
            let found = fit(pattern.iter().copied(), topic.iter().copied(), |wanted, segment| {
                wanted == Segment::One || wanted == Segment::Literal(segment)
            });
            proptest::prop_assert_eq!(found, fits_by_trying(&pattern, &topic));
        }
    }

    #[test]
    fn many_hashes_cost_no_more_steps_than_both_lengths_multiplied() {
        let topic = ["a"; MOST_SEGMENTS];
        for literals in 1..MOST_SEGMENTS / 2 {
            let part = [vec![Segment::Literal("a"); literals], vec![Segment::Many]].concat();
            let mut pattern = part.repeat(MOST_SEGMENTS / part.len());
            pattern.push(Segment::Literal("z"));
            let mut steps = 0;
            assert!(!fit(pattern.iter().copied(), topic.iter().copied(), |wanted, segment| {
                steps += 1;
                wanted == Segment::Literal(segment)
            }));
            assert!(steps <= pattern.len() * topic.len(), "{steps} steps");
        }
    }

    #[test]
    fn a_slash_is_an_ordinary_character() {
        check("*", "home/kitchen", true);
        check("home.*", "home/kitchen", false);
    }

    #[test]
    fn a_pattern_covers_those_that_match_no_more() {
        let covers = |one: &str, other: &str| {
            let (one, other): (Pattern, Pattern) = (one.parse().unwrap(), other.parse().unwrap());
            one.covers(&other)
        };
        for (one, other) in
            [("a.#", "a"), ("a.#", "a.*.b"), ("#", "#.a.#"), ("*", "a"), ("*.#", "a.#")]
        {
            assert!(covers(one, other), "{one} covers {other}");
            assert!(one == other || !covers(other, one), "{other} does not cover {one}");
        }
        assert!(!covers("*", "#"));
        assert!(!covers("a.*", "a.#"));
    }

    #[test]
    fn a_topic_is_any_text_without_control_characters() {
        for text in [
            "a..b",
            ".a",
            "a.",
            ".",
            "a b",
            "b*",
            "*b.##",
            "temp:kitchen@home+1=~2",
            "größe.日本",
            "_dist.data.bm9kZUBob3N0LWE==.in",
            "'\"|$`\\",
        ] {
            assert_eq!(text.parse::<Topic>().map(|topic| topic.to_string()), Ok(text.to_owned()));
            check(text, text, true);
            check("#", text, true);
        }
        check("a.*.b", "a..b", true);
        check("a.#.b", "a..b", true);
        check("b*", "bc", false);
        check("*", "日本", true);
    }

    #[test]
    fn two_stars_are_another_word_for_a_hash() {
        for (one, other) in [("a.**", "a.#"), ("**", "#"), ("**.b.**", "#.b.#"), ("a.**.", "a.#.")]
        {
            assert_eq!(one.parse::<Pattern>(), other.parse::<Pattern>());
        }
        check("a.**", "a", true);
        check("a.**", "a.b.c", true);
        check("a***", "a***", true);
        assert!("**.**.**".parse::<Pattern>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn text_without_control_characters_and_wildcards_is_a_topic_that_matches_itself(
            text in "[^\\p{Cc}]{1,40}",
        ) {
            let wild = text.split('.').any(|segment| ["*", "#", "**"].contains(&segment));
            let topic = text.parse::<Topic>();
            proptest::prop_assert_eq!(topic.is_ok(), !wild, "{:?}", topic);
            if let Ok(topic) = topic {
                proptest::prop_assert_eq!(topic.as_str(), &text);
                let pattern: Pattern = text.parse().unwrap();
                proptest::prop_assert!(pattern.matches(&topic) && pattern.covers(&pattern));
            }
        }

        #[test]
        fn whatever_bytes_are_a_topic_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
            if let Ok(topic) = Topic::new(bytes.clone().into()) {
                proptest::prop_assert_eq!(topic.as_str().as_bytes(), &bytes);
            }
        }
    }

    #[test]
    fn what_is_no_topic_says_why() {
        let error = |text: &str| text.parse::<Topic>().unwrap_err().to_string();
        assert_eq!(error(""), "a topic is empty");
        assert_eq!(error("ü.\n"), "\"ü.\\n\" has the control character '\\n' at column 3");
        assert!(error("a.\u{85}").contains("control character"));
        for wildcard in ["a.*", "#", "a.**"] {
            assert!(error(wildcard).contains("is a pattern"));
        }
        assert!(error(&"a".repeat(1025)).contains("1025 bytes"));
        assert!(error(&vec!["a"; 65].join(".")).contains("65 segments"));
        assert!("#.#.#".parse::<Pattern>().is_err());
        assert_eq!(Topic::new(Bytes::from_static(b"\xff")), Err(TopicError::NotText));
    }
}
