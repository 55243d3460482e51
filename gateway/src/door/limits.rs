//! Limits the handshakes a second, of all clients and of each network. Pure: the time is an argument. The transport is not
//! known here.

use std::{collections::HashMap, net::IpAddr, time::Duration};

/// How many handshakes the gateway serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// Handshakes a second, of all clients.
    pub per_second: u32,
    /// Handshakes a second, of one network: an IPv4 /24 or an IPv6 /56. A Kubernetes Service may give many clients one
    /// address.
    pub per_second_of_prefix: u32,
    /// While more handshakes than this are under way, a client must first prove its address.
    pub retry_above: usize,
}

impl Default for HandshakeLimits {
    fn default() -> Self {
        Self { per_second: 1000, per_second_of_prefix: 200, retry_above: 64 }
    }
}

/// What the gateway does with a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Accept,
    /// The client has to prove its address first.
    Retry,
    Refuse(Refusal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Rate,
    PrefixRate,
    Connections,
    Draining,
    /// There is no memory left for it.
    Memory,
}

impl Refusal {
    /// The label `reason` in the metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::PrefixRate => "prefix_rate",
            Self::Connections => "connections",
            Self::Draining => "draining",
            Self::Memory => "memory",
        }
    }
}

/// The handshakes of the last second, in all and for each network.
#[derive(Debug)]
pub struct Handshakes {
    limits: HandshakeLimits,
    all: Meter,
    prefixes: HashMap<IpAddr, Meter>,
}

impl Handshakes {
    pub fn new(limits: HandshakeLimits) -> Self {
        Self { limits, all: Meter::default(), prefixes: HashMap::new() }
    }

    /// Decides about a handshake, and counts it if it is accepted. `proven`: the client receives what is sent to its
    /// address. `under_way`: handshakes that are not complete. `now`: of a clock that only goes forward.
    pub fn admit(
        &mut self,
        from: IpAddr,
        proven: bool,
        under_way: usize,
        now: Duration,
    ) -> Admission {
        let limits = self.limits;
        let prefix = network(from);
        let mut of_prefix = self.prefixes.get(&prefix).copied().unwrap_or_default();
        let is_busy = under_way > limits.retry_above
            || self.all.is_half_used(now)
            || of_prefix.is_half_used(now);
        if is_busy && !proven {
            return Admission::Retry;
        }
        if !of_prefix.has_room(limits.per_second_of_prefix, now) {
            return Admission::Refuse(Refusal::PrefixRate);
        }
        if !self.all.has_room(limits.per_second, now) {
            return Admission::Refuse(Refusal::Rate);
        }
        self.all.count(limits.per_second, now);
        of_prefix.count(limits.per_second_of_prefix, now);
        self.prefixes.insert(prefix, of_prefix);
        self.forget_unused(now);
        Admission::Accept
    }

    /// Forgets networks without a recent handshake. A network in use has had one within the last second, so there are never
    /// many more than `per_second`.
    fn forget_unused(&mut self, now: Duration) {
        let most = usize::try_from(self.limits.per_second).unwrap_or(usize::MAX);
        if self.prefixes.len() > most.saturating_mul(2).max(64) {
            self.prefixes.retain(|_, meter| meter.used_until > now);
        }
    }
}

/// Allows the handshakes of one second at once, and then as many a second.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    /// The time at which all of it is free again.
    used_until: Duration,
}

const SPAN: Duration = Duration::from_secs(1);

impl Meter {
    fn used(self, now: Duration) -> Duration {
        self.used_until.saturating_sub(now)
    }

    fn is_half_used(self, now: Duration) -> bool {
        self.used(now) > SPAN / 2
    }

    fn has_room(self, per_second: u32, now: Duration) -> bool {
        self.used(now) + SPAN / per_second.max(1) <= SPAN
    }

    fn count(&mut self, per_second: u32, now: Duration) {
        self.used_until = self.used_until.max(now) + SPAN / per_second.max(1);
    }
}

/// The address of the network: an IPv4 /24 or an IPv6 /56.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::from([a, b, c, 0])
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, ..] = v6.octets();
            IpAddr::from([a, b, c, d, e, f, g, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HandshakeLimits =
        HandshakeLimits { per_second: 20, per_second_of_prefix: 10, retry_above: 4 };

    fn admitted(handshakes: &mut Handshakes, from: &str, times: usize, now: Duration) -> usize {
        let from = from.parse().unwrap();
        let mut admit = || handshakes.admit(from, true, 0, now);
        (0..times).filter(|_| admit() == Admission::Accept).count()
    }

    #[test]
    fn a_network_gets_its_share_and_all_networks_theirs() {
        let mut handshakes = Handshakes::new(LIMITS);
        let now = Duration::from_secs(9);
        assert_eq!(admitted(&mut handshakes, "10.0.0.1", 30, now), 10);
        assert_eq!(admitted(&mut handshakes, "::ffff:10.0.0.2", 30, now), 0, "the same network");
        let refused = handshakes.admit("10.0.0.3".parse().unwrap(), true, 0, now);
        assert_eq!(refused, Admission::Refuse(Refusal::PrefixRate));
        assert_eq!(admitted(&mut handshakes, "2001:db8:0:1::1", 30, now), 10);
        let refused = handshakes.admit("10.1.0.1".parse().unwrap(), true, 0, now);
        assert_eq!(refused, Admission::Refuse(Refusal::Rate));
        let later = now + Duration::from_millis(500);
        assert_eq!(admitted(&mut handshakes, "10.0.0.1", 30, later), 5);
        assert_eq!(admitted(&mut handshakes, "2001:db8:0:1ff::1", 30, later), 5, "a /56");
    }

    #[test]
    fn an_address_must_be_proven_while_much_goes_on() {
        let mut handshakes = Handshakes::new(LIMITS);
        let (from, now) = ("10.0.0.1".parse().unwrap(), Duration::ZERO);
        assert_eq!(handshakes.admit(from, false, 4, now), Admission::Accept);
        assert_eq!(handshakes.admit(from, false, 5, now), Admission::Retry);
        assert_eq!(handshakes.admit(from, true, 5, now), Admission::Accept);
        admitted(&mut handshakes, "10.0.0.1", 4, now);
        assert_eq!(handshakes.admit(from, false, 0, now), Admission::Retry, "half is used");
    }

    #[test]
    fn networks_that_are_quiet_are_forgotten() {
        let mut handshakes = Handshakes::new(LIMITS);
        for second in 0..1000_u32 {
            let address = IpAddr::from((second << 8).to_be_bytes());
            let now = Duration::from_secs(second.into());
            assert_eq!(handshakes.admit(address, true, 0, now), Admission::Accept);
        }
        assert!(handshakes.prefixes.len() <= 65);
    }
}
