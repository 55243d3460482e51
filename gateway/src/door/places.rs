//! The places for connections, divided between networks. Pure. What a connection is is not known here.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
};

/// Places that are taken, in all and by each network.
#[derive(Debug)]
pub struct Places {
    most: usize,
    most_of_network: usize,
    taken: usize,
    networks: HashMap<IpAddr, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// All are taken, or half of them and the network has more than its part of the rest.
    Left,
    /// The network has as many as one may have.
    OfNetwork,
}

impl Places {
    /// `most`: the places, and how many of them one network may have.
    pub fn new(most: usize, most_of_network: usize) -> Self {
        Self { most, most_of_network, taken: 0, networks: HashMap::new() }
    }

    /// Takes a place. Once half are taken, a network may have no more than a quarter of what is left: so there is always some
    /// left for one that has yet to come. `is_exempt`: all clients may seem to be of this network, so it may have any number.
    ///
    /// # Errors
    /// Why there is none.
    pub fn take(&mut self, network: IpAddr, is_exempt: bool) -> Result<(), NoPlace> {
        let of_network = self.networks.get(&network).copied().unwrap_or_default();
        if !is_exempt && of_network >= self.most_of_network {
            return Err(NoPlace::OfNetwork);
        }
        let left = self.most - self.taken;
        let is_fair = is_exempt || left > self.most / 2 || of_network < left.div_ceil(4);
        if left == 0 || !is_fair {
            return Err(NoPlace::Left);
        }
        self.taken += 1;
        self.networks.insert(network, of_network + 1);
        Ok(())
    }

    /// Gives a place back.
    pub fn leave(&mut self, network: IpAddr) {
        if let Entry::Occupied(mut entry) = self.networks.entry(network) {
            self.taken -= 1;
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u8) -> IpAddr {
        IpAddr::from([10, 0, number, 0])
    }

    fn fill(places: &mut Places, number: u8) -> (usize, NoPlace) {
        let mut taken = 0;
        loop {
            match places.take(network(number), false) {
                Ok(()) => taken += 1,
                Err(why) => return (taken, why),
            }
        }
    }

    #[test]
    fn one_network_leaves_places_for_others() {
        let mut places = Places::new(100, 50);
        assert_eq!(fill(&mut places, 1), (50, NoPlace::OfNetwork));
        assert_eq!(fill(&mut places, 2), (10, NoPlace::Left));
        assert_eq!(fill(&mut places, 3), (8, NoPlace::Left));
        places.leave(network(1));
        assert_eq!(fill(&mut places, 1).0, 0, "others have less");
        assert_eq!(places.take(network(4), false), Ok(()));
    }

    #[test]
    fn eight_networks_that_take_what_they_can_leave_a_ninth_its_share() {
        let mut places = Places::new(1000, 500);
        for number in (1..=8).chain(1..=8) {
            fill(&mut places, number);
        }
        assert!((20..50).contains(&fill(&mut places, 9).0));
    }

    #[test]
    fn an_exempt_network_may_have_all() {
        let mut places = Places::new(100, 10);
        let taken = (0..).take_while(|_| places.take(network(1), true).is_ok()).count();
        assert_eq!(taken, 100);
        (0..100).for_each(|_| places.leave(network(1)));
        assert!(places.networks.is_empty() && places.taken == 0);
    }
}
