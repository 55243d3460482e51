//! Limits the handshakes a second, of all clients and of each network. Pure: the time is an argument. The transport is not
//! known here.

use std::{collections::HashMap, net::IpAddr, time::Duration};

/// How many handshakes the gateway serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// Handshakes a second, of all clients. A quarter of them is for networks whose clients are known.
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

/// Who begins a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knock {
    pub network: IpAddr,
    /// The client receives what is sent to its address.
    pub is_proven: bool,
    /// No share of one network holds for it: all clients may seem to be of it.
    pub is_exempt: bool,
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
    PrefixConnections,
    /// Too many connections of its network have said nothing yet.
    Silent,
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
            Self::PrefixConnections => "prefix_connections",
            Self::Silent => "silent",
            Self::Draining => "draining",
            Self::Memory => "memory",
        }
    }
}

/// The handshakes of the last second, in all and for each network.
#[derive(Debug)]
pub struct Handshakes {
    limits: HandshakeLimits,
    general: Meter,
    reserved: Meter,
    networks: HashMap<IpAddr, OfNetwork>,
    forgot: Duration,
    known: HashMap<IpAddr, Known>,
}

/// What one network has used: of its own handshakes, of the general ones and of the reserved ones.
#[derive(Clone, Copy, Debug, Default)]
struct OfNetwork {
    own: Meter,
    general: Meter,
    reserved: Meter,
}

/// A network whose clients were admitted: how many are there, and how long it is known if there are none.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    clients: usize,
    until: Duration,
}

/// How long a network is known after its last client has left.
const KNOWN_FOR: Duration = Duration::from_secs(600);
/// The most networks that are known.
const MOST_KNOWN: usize = 16_384;
/// How often networks without a recent handshake are forgotten.
const FORGET_EVERY: Duration = Duration::from_millis(50);

impl Handshakes {
    pub fn new(limits: HandshakeLimits) -> Self {
        let (general, reserved, forgot) = (Meter::default(), Meter::default(), Duration::ZERO);
        let (networks, known) = (HashMap::new(), HashMap::new());
        Self { limits, general, reserved, networks, forgot, known }
    }

    /// Decides about a handshake, and counts it if it is accepted. `under_way`: handshakes that are not complete. `now`: of a
    /// clock that only goes forward.
    pub fn admit(&mut self, knock: Knock, under_way: usize, now: Duration) -> Admission {
        self.forget_unused(now);
        let Knock { network, is_proven, is_exempt } = knock;
        let mut of = self.networks.get(&network).copied().unwrap_or_default();
        let is_busy = under_way > self.limits.retry_above
            || self.general.is_half_used(now)
            || of.own.is_half_used(now);
        if is_busy && !is_proven {
            return Admission::Retry;
        }
        let of_prefix = self.limits.per_second_of_prefix;
        if !is_exempt && !of.own.has_room(of_prefix, now) {
            return Admission::Refuse(Refusal::PrefixRate);
        }
        // Each other network, and one that has yet to come.
        let others = self.networks.len() - usize::from(self.networks.contains_key(&network)) + 1;
        let others = if is_exempt { 0 } else { u32::try_from(others).unwrap_or(u32::MAX) };
        let reserved = self.limits.per_second / 4;
        let general = (self.limits.per_second - reserved).max(1);
        if self.general.leaves_room(of.general, general, others, now) {
            self.general.count(general, now);
            of.general.count(share(general, others), now);
        } else if reserved > 0
            && self.is_known(network, now)
            && self.reserved.leaves_room(of.reserved, reserved, others, now)
        {
            self.reserved.count(reserved, now);
            of.reserved.count(share(reserved, others), now);
        } else {
            return Admission::Refuse(Refusal::Rate);
        }
        of.own.count(of_prefix, now);
        self.networks.insert(network, of);
        Admission::Accept
    }

    /// A client of this network was admitted.
    pub fn joined(&mut self, network: IpAddr, now: Duration) {
        if self.known.len() >= MOST_KNOWN {
            self.known.retain(|_, known| known.clients > 0 || known.until > now);
        }
        if self.known.len() < MOST_KNOWN || self.known.contains_key(&network) {
            self.known.entry(network).or_default().clients += 1;
        }
    }

    /// A client of this network that was admitted has left.
    pub fn left(&mut self, network: IpAddr, now: Duration) {
        if let Some(known) = self.known.get_mut(&network) {
            known.clients = known.clients.saturating_sub(1);
            known.until = now + KNOWN_FOR;
        }
    }

    fn is_known(&self, network: IpAddr, now: Duration) -> bool {
        self.known.get(&network).is_some_and(|known| known.clients > 0 || known.until > now)
    }

    /// Forgets networks without a recent handshake. A network in use has had one within the last second, so there are never
    /// many more than `per_second`.
    fn forget_unused(&mut self, now: Duration) {
        if now >= self.forgot + FORGET_EVERY {
            self.forgot = now;
            let is_used = |of: &OfNetwork| {
                [of.own, of.general, of.reserved].iter().any(|meter| meter.used_until > now)
            };
            self.networks.retain(|_, of| is_used(of));
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

    /// Whether there is room for a network that has used so much of it. Once half is used, each gets no more than an equal
    /// part: what one network uses is not taken from others.
    fn leaves_room(self, of_network: Self, per_second: u32, others: u32, now: Duration) -> bool {
        let has_share = || others == 0 || of_network.has_room(share(per_second, others), now);
        self.has_room(per_second, now) && (!self.is_half_used(now) || has_share())
    }

    /// What was used without need counts for a second at most.
    fn count(&mut self, per_second: u32, now: Duration) {
        let used_until = self.used_until.max(now) + SPAN / per_second.max(1);
        self.used_until = used_until.min(now + SPAN);
    }
}

/// How many a second one of so many others and itself gets.
fn share(per_second: u32, others: u32) -> u32 {
    (per_second / others.saturating_add(1)).max(1)
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
        HandshakeLimits { per_second: 40, per_second_of_prefix: 10, retry_above: 4 };

    fn knock(from: &str) -> Knock {
        Knock { network: network(from.parse().unwrap()), is_proven: true, is_exempt: false }
    }

    fn admitted(handshakes: &mut Handshakes, from: &str, times: usize, now: Duration) -> usize {
        let mut admit = || handshakes.admit(knock(from), 0, now);
        (0..times).filter(|_| admit() == Admission::Accept).count()
    }

    #[test]
    fn a_network_gets_its_share_and_all_networks_theirs() {
        let mut handshakes = Handshakes::new(LIMITS);
        let now = Duration::from_secs(9);
        assert_eq!(admitted(&mut handshakes, "10.0.0.1", 30, now), 10);
        assert_eq!(admitted(&mut handshakes, "::ffff:10.0.0.2", 30, now), 0, "the same network");
        let refused = handshakes.admit(knock("10.0.0.3"), 0, now);
        assert_eq!(refused, Admission::Refuse(Refusal::PrefixRate));
        let taken = admitted(&mut handshakes, "2001:db8:0:1::1", 30, now);
        assert_eq!(taken, 10, "a third of what is for everybody");
        assert_eq!(admitted(&mut handshakes, "10.1.0.1", 30, now), 7);
        let refused = handshakes.admit(knock("10.1.0.1"), 0, now);
        assert_eq!(refused, Admission::Refuse(Refusal::Rate));
        let later = now + Duration::from_millis(500);
        assert_eq!(admitted(&mut handshakes, "10.0.0.1", 30, later), 5);
        let mut handshakes = Handshakes::new(LIMITS);
        assert_eq!(admitted(&mut handshakes, "2001:db8:0:1::1", 30, now), 10);
        assert_eq!(admitted(&mut handshakes, "2001:db8:0:ff::1", 30, now), 0, "the same /56");
        assert_eq!(admitted(&mut handshakes, "2001:db8:0:100::1", 30, now), 10);
    }

    /// Each of the eight asks for all that it may have, for ten seconds; returns how many handshakes of a ninth network, one
    /// each tenth of a second, were accepted of a hundred.
    fn beside_eight_that_flood(handshakes: &mut Handshakes, ninth: &str) -> usize {
        let mut accepted = 0;
        for step in 0..1000_u64 {
            let now = Duration::from_millis(10 * step);
            for flooding in 0..8 {
                admitted(handshakes, &format!("10.0.{flooding}.1"), 20, now);
            }
            if step % 10 == 0 {
                accepted += admitted(handshakes, ninth, 1, now);
            }
        }
        accepted
    }

    #[test]
    fn networks_that_flood_leave_handshakes_for_one_that_does_not() {
        let mut handshakes = Handshakes::new(HandshakeLimits::default());
        assert_eq!(beside_eight_that_flood(&mut handshakes, "10.1.0.1"), 100);
    }

    #[test]
    fn a_part_is_for_networks_whose_clients_are_known() {
        let mut handshakes = Handshakes::new(LIMITS);
        let now = Duration::from_secs(9);
        let (known, gone) = (knock("10.1.0.1").network, knock("10.2.0.1").network);
        handshakes.joined(known, now);
        handshakes.joined(gone, now);
        handshakes.left(gone, now);
        // So many networks that a share of all is nothing.
        for flooding in 0..100 {
            admitted(&mut handshakes, &format!("10.0.{flooding}.1"), 1, now);
        }
        assert_eq!(admitted(&mut handshakes, "10.3.0.1", 1, now), 0);
        assert_eq!(admitted(&mut handshakes, "10.1.0.1", 1, now), 1);
        assert_eq!(admitted(&mut handshakes, "10.2.0.1", 1, now), 1);
        let later = now + KNOWN_FOR + Duration::from_secs(1);
        for flooding in 0..100 {
            admitted(&mut handshakes, &format!("10.0.{flooding}.1"), 1, later);
        }
        assert_eq!(admitted(&mut handshakes, "10.2.0.1", 1, later), 0, "known no longer");
        assert_eq!(admitted(&mut handshakes, "10.1.0.1", 1, later), 1);
    }

    #[test]
    fn an_exempt_network_has_no_share_of_its_own() {
        let mut handshakes = Handshakes::new(LIMITS);
        let knock = Knock { is_exempt: true, ..knock("10.0.0.1") };
        let mut admit = || handshakes.admit(knock, 0, Duration::ZERO) == Admission::Accept;
        assert_eq!((0..50).filter(|_| admit()).count(), 30, "all but the reserved quarter");
    }

    #[test]
    fn an_address_must_be_proven_while_much_goes_on() {
        let mut handshakes = Handshakes::new(LIMITS);
        let (proven, now) = (knock("10.0.0.1"), Duration::ZERO);
        let unproven = Knock { is_proven: false, ..proven };
        assert_eq!(handshakes.admit(unproven, 4, now), Admission::Accept);
        assert_eq!(handshakes.admit(unproven, 5, now), Admission::Retry);
        assert_eq!(handshakes.admit(proven, 5, now), Admission::Accept);
        admitted(&mut handshakes, "10.0.0.1", 4, now);
        assert_eq!(handshakes.admit(unproven, 0, now), Admission::Retry, "half is used");
    }

    #[test]
    fn networks_that_are_quiet_are_forgotten() {
        let mut handshakes = Handshakes::new(LIMITS);
        for second in 0..1000_u32 {
            let network = IpAddr::from((second << 8).to_be_bytes());
            let now = Duration::from_secs(second.into());
            let knock = Knock { network, is_proven: true, is_exempt: false };
            assert_eq!(handshakes.admit(knock, 0, now), Admission::Accept);
        }
        assert!(handshakes.networks.len() <= 65);
    }
}
