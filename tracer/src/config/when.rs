//! Points in time as people write and read them. It must not read the clock: `now` is an argument.

use jiff::{SignedDuration, Timestamp, ToSpan, civil, tz::TimeZone};

use super::quantity::duration;

/// A time nobody understands, with what would be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot understand the time {0:?}: give 10m, 2h or 1d for so long ago, or RFC 3339, 2026-01-31 10:00 or 10:00 (UTC)"
)]
pub struct NoTime(String);

/// `90s`, `10m`, `2h30m`, `1d`, `2w`: so long before `now`. RFC 3339; `2026-01-31`, `2026-01-31 10:00[:00]`: UTC;
/// `10:00[:00]`: the last time it was so late, UTC.
///
/// # Errors
/// It is none of these.
pub fn parse(text: &str, now: Timestamp) -> Result<Timestamp, NoTime> {
    let text = text.trim();
    ago(text)
        .and_then(|ago| now.checked_sub(ago).ok())
        .or_else(|| text.parse().ok())
        .or_else(|| on_a_date(text))
        .or_else(|| time_of_day(text, now))
        .ok_or_else(|| NoTime(text.to_owned()))
}

/// Nanoseconds since 1970; saturates in 1677 and 2262.
pub fn nanoseconds(time: Timestamp) -> i64 {
    let ns = time.as_nanosecond();
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

/// How long ago, as kubectl says it: two units at most, coarser with age.
pub fn age(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(time).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let and = |first: i64, unit: &str, rest: i64, small: &str| match rest {
        0 => format!("{first}{unit}"),
        _ => format!("{first}{unit}{rest}{small}"),
    };
    match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => and(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => and(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => and(days, "d", hours % 24, "h"),
        _ => format!("{days}d"),
    }
}

fn ago(text: &str) -> Option<SignedDuration> {
    SignedDuration::try_from(duration(text)?).ok()
}

fn on_a_date(text: &str) -> Option<Timestamp> {
    let date_time: civil::DateTime = text.parse().ok()?;
    Some(date_time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn time_of_day(text: &str, now: Timestamp) -> Option<Timestamp> {
    // Alone, a number could as well be a forgotten unit.
    let time: civil::Time = text.contains(':').then(|| text.parse().ok())??;
    let now = now.to_zoned(TimeZone::UTC).datetime();
    let today = now.date().to_datetime(time);
    let last = if today <= now { today } else { today.checked_sub(1.day()).ok()? };
    Some(last.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_understood_as_people_write_them() {
        let now = time("2026-02-01T09:30:00Z");
        for (text, expected) in [
            ("90s", "2026-02-01T09:28:30Z"),
            ("10m", "2026-02-01T09:20:00Z"),
            ("2h30m", "2026-02-01T07:00:00Z"),
            ("1d", "2026-01-31T09:30:00Z"),
            ("1w", "2026-01-25T09:30:00Z"),
            ("2026-01-31T10:00:00+02:00", "2026-01-31T08:00:00Z"),
            ("2026-01-31T10:00:00.5Z", "2026-01-31T10:00:00.5Z"),
            ("2026-01-31 10:00", "2026-01-31T10:00:00Z"),
            ("2026-01-31 10:00:07", "2026-01-31T10:00:07Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("250ms", "2026-02-01T09:29:59.75Z"),
            ("09:00", "2026-02-01T09:00:00Z"),
            ("09:00:30", "2026-02-01T09:00:30Z"),
            ("10:00", "2026-01-31T10:00:00Z"),
        ] {
            assert_eq!(parse(text, now), Ok(time(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_an_example() {
        let now = time("2026-02-01T09:30:00Z");
        for text in ["", "soon", "10", "m", "10x", "25:00", "2026-13-01", "99999999999999999999d"] {
            assert!(parse(text, now).unwrap_err().to_string().contains("give 10m"), "{text}");
        }
        assert!(parse("9223372036854775807s", now).is_err());
    }

    #[test]
    fn ages_are_those_of_kubectl() {
        let now = time("2026-02-01T00:00:00Z");
        for (seconds, expected) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (325, "5m25s"),
            (3600, "60m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (30_000, "8h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (864_000, "10d"),
        ] {
            let then = now - SignedDuration::from_secs(seconds);
            assert_eq!(age(then, now), expected, "{seconds}");
        }
        assert_eq!(age(now, now - SignedDuration::from_secs(5)), "0s");
    }
}
