//! Boot time as wall-clock time.

use jiff::Timestamp;

use crate::capture::event::BootNs;

/// RFC 3339 in UTC with nine decimal places, such as `2001-02-03T04:05:06.000000007Z`.
pub fn rfc3339(boot_ns: BootNs, boot_offset_ns: i64) -> String {
    let ns = i128::from(boot_ns) + i128::from(boot_offset_ns);
    let time = Timestamp::from_nanosecond(ns)
        .expect("u64 plus i64 nanoseconds are at most a few hundred years from 1970");
    format!("{time:.9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nanoseconds_and_are_utc() {
        assert_eq!(rfc3339(7, 981_173_106_000_000_000), "2001-02-03T04:05:06.000000007Z");
        assert_eq!(rfc3339(1_000_000_000, -1_000_000_000), "1970-01-01T00:00:00.000000000Z");
    }

    #[test]
    fn every_time_and_offset_can_be_shown() {
        assert!(rfc3339(u64::MAX, i64::MAX).starts_with("2846"));
        assert!(rfc3339(0, i64::MIN).starts_with("1677"));
    }
}
