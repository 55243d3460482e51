//! Bytes as people read them.

/// `512 bytes`, `64 MiB`, `62.5 MiB`: one decimal place where it is not whole.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in UNITS {
        let whole = bytes >> shift;
        if whole == 0 {
            continue;
        }
        let rest = bytes - (whole << shift);
        let tenths = (rest * 10) >> shift;
        return if tenths == 0 {
            format!("{whole} {unit}")
        } else {
            format!("{whole}.{tenths} {unit}")
        };
    }
    if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_down_to_a_tenth() {
        let check = |bytes, expected| assert_eq!(size(bytes), expected);
        check(0, "0 bytes");
        check(1, "1 byte");
        check(1023, "1023 bytes");
        check(1536, "1.5 KiB");
        check(64 << 20, "64 MiB");
        check(u64::MAX, "16777215.9 TiB");
    }
}
