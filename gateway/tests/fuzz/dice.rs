//! Chance that can be repeated: splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). It
//! must not know what is chosen.

use std::{cell::Cell, env, thread};

/// Frames of one test, unless `GATEWAY_FUZZ_FRAMES` says otherwise.
const FRAMES: u64 = 1_000_000;
const SEED: u64 = 202_511;

pub struct Dice {
    seed: u64,
    state: Cell<u64>,
    /// How many frames were made.
    frames: Cell<u64>,
}

impl Dice {
    /// Different for each test.
    pub fn of(test: u64) -> Self {
        let seed = number("GATEWAY_FUZZ_SEED", SEED);
        Self { seed, state: Cell::new(seed ^ test << 48), frames: Cell::new(0) }
    }

    pub fn next(&self) -> u64 {
        self.state.set(self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut mixed = self.state.get();
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn byte(&self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// Below `most`; 0 where that is 0.
    pub fn below(&self, most: usize) -> usize {
        usize::try_from(self.next() >> 32).unwrap() % most.max(1)
    }

    /// Once in so many times.
    pub fn once_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    pub fn bytes(&self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.byte()).collect()
    }

    /// The numbers of the frames to make.
    pub fn frames(&self) -> impl Iterator<Item = u64> {
        (0..number("GATEWAY_FUZZ_FRAMES", FRAMES)).inspect(|frame| self.frames.set(*frame))
    }
}

impl Drop for Dice {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("seed {}, frame {}", self.seed, self.frames.get());
        }
    }
}

fn number(name: &str, usual: u64) -> u64 {
    env::var(name).map_or(usual, |text| text.parse().unwrap())
}
