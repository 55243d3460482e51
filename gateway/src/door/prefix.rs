//! Prefixes of addresses, as `10.0.0.0/8`. Pure. What they are for is not known here.

use std::{net::IpAddr, str::FromStr};

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: u128,
    bits: u32,
}

impl Prefix {
    pub fn contains(&self, address: IpAddr) -> bool {
        let different = (number(address) ^ self.address).leading_zeros();
        different >= self.bits
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let why = || format!("{text:?} is no prefix: one is like 10.0.0.0/8 or fd00::/8");
        let (address, bits) = text.trim().split_once('/').ok_or_else(why)?;
        let address: IpAddr = address.parse().map_err(|_| why())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse::<u32>().ok().filter(|bits| *bits <= most).ok_or_else(why)?;
        Ok(Self { address: number(address), bits: bits + 128 - most })
    }
}

/// The address as a number, one of IPv4 as IPv6 writes it (RFC 4291, 2.5.5.2).
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_the_addresses_that_begin_so() {
        for (prefix, inside, outside) in [
            ("10.0.0.0/8", "10.1.2.3", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("192.168.1.7/32", "192.168.1.7", "192.168.1.6"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("0.0.0.0/0", "1.2.3.4", "2001:db8::1"),
        ] {
            let prefix: Prefix = prefix.parse().unwrap();
            assert!(prefix.contains(inside.parse().unwrap()), "{inside}");
            assert!(!prefix.contains(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn what_is_no_prefix_says_so() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "x/8", "10.0.0.0/-1"]
        {
            let why = text.parse::<Prefix>().unwrap_err();
            assert!(why.contains("10.0.0.0/8"), "{why}");
        }
    }
}
