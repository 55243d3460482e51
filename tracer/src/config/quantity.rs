//! Durations and sizes as people write them: `10m`, `7d`, `256MiB`. It must not know settings.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{SpanRelativeTo, fmt::friendly::SpanParser};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A duration: numbers with `ms`, `s`, `m`, `h`, `d` or `w`, the longest unit first, as in `90s`, `1h30m` or `1.5h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

/// A number of bytes: plain, or with `KiB`, `MiB`, `GiB`, `TiB` (1024) or `kB`, `MB`, `GB`, `TB` (1000).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub u64);

#[derive(Debug, Error, PartialEq, Eq)]
pub enum QuantityError {
    #[error(
        "`{0}` is no duration: write numbers with w, d, h, m, s or ms, the longest first, e.g. `10m` or `7d`"
    )]
    Span(String),
    #[error("`{0}` is no size: write a number with KiB, MiB or GiB, e.g. `256MiB`")]
    Size(String),
}

/// Milliseconds, largest first, to print. Nobody counts in weeks: a store of 7 days is asked for, and shown.
const SPANS: [(&str, u64); 5] =
    [("d", 24 * 3_600_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Bytes, largest first; those of 1024 are used to print.
const SIZES: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
];

impl FromStr for Span {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        duration(text).map(Self).ok_or_else(|| QuantityError::Span(text.to_owned()))
    }
}

/// So long, where a text says it in whole milliseconds, and in no unit whose length a calendar decides.
pub(super) fn duration(text: &str) -> Option<Duration> {
    // A time of day, which the parser takes for so many hours and minutes.
    if text.contains(':') {
        return None;
    }
    let span = SpanParser::new().parse_span(text.trim()).ok()?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    let length = Duration::try_from(length).ok()?;
    length.subsec_nanos().is_multiple_of(1_000_000).then_some(length)
}

impl FromStr for Size {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let read = || {
            let (number, unit) = number(text.trim())?;
            let unit = unit.trim_start();
            if unit.is_empty() || unit == "B" {
                return Some(number);
            }
            let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
            number.checked_mul(*bytes)
        };
        read().map(Self).ok_or_else(|| QuantityError::Size(text.to_owned()))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total_ms = self.0.as_millis();
        let fits = |unit_ms: u64| total_ms != 0 && total_ms.is_multiple_of(u128::from(unit_ms));
        let mut units = SPANS.into_iter();
        let (unit, unit_ms) = units.find(|(_, unit_ms)| fits(*unit_ms)).unwrap_or(("s", 1000));
        write!(f, "{}{unit}", total_ms / u128::from(unit_ms))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = SIZES.iter().filter(|(name, _)| name.ends_with("iB"));
        for (unit, bytes) in binary {
            if self.0 != 0 && self.0.is_multiple_of(*bytes) {
                return write!(f, "{}{unit}", self.0 / bytes);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// The number that the text begins with, and what follows it.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

impl TryFrom<String> for Span {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<Self, QuantityError> {
        text.parse()
    }
}

impl TryFrom<String> for Size {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<Self, QuantityError> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        let table = [
            ("120s", 120_000, "2m"),
            ("1w", 604_800_000, "7d"),
            ("1h30m", 5_400_000, "90m"),
            ("250ms", 250, "250ms"),
            ("0s", 0, "0s"),
            ("1500ms", 1500, "1500ms"),
            ("1.5h", 5_400_000, "90m"),
            (" 2d 12h ", 216_000_000, "60h"),
        ];
        for (text, ms, shown) in table {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Duration::from_millis(ms), "{text}");
            assert_eq!(span.to_string(), shown);
            assert_eq!(shown.parse(), Ok(span));
        }
        for text in [
            "",
            "7",
            "d",
            "7x",
            "-1s",
            "1h ago",
            "30m1h",
            "10:00:00",
            "PT1H",
            "1mo",
            "1us",
            "99999999999999999999s",
            "9999999999999999w",
        ] {
            assert_eq!(text.parse::<Span>(), Err(QuantityError::Span(text.to_owned())));
        }
    }

    #[test]
    fn sizes_are_read_and_shown() {
        let table = [
            ("256MiB", 256 << 20, "256MiB"),
            ("1 GiB", 1 << 30, "1GiB"),
            ("10MB", 10_000_000, "10000000"),
            ("4096", 4096, "4KiB"),
            ("0", 0, "0"),
            ("5B", 5, "5"),
        ];
        for (text, bytes, shown) in table {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, shown), "{text}");
            assert_eq!(shown.parse(), Ok(size));
        }
        for text in ["", "MiB", "1mb", "-1", "1.5GiB", "99999999999TiB"] {
            assert_eq!(text.parse::<Size>(), Err(QuantityError::Size(text.to_owned())));
        }
    }
}
