//! Chance that is the same each time: which nodes die, which are asked.

/// SplitMix64 (Steele, Lea and Flood, 2014): enough to choose nodes by, and nothing more.
#[derive(Debug, Clone)]
pub(crate) struct Draw(u64);

impl Draw {
    /// The chance that begins with `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`; 0 if that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z % bound.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_another_one_something_else() {
        let drawn = |seed| {
            let mut draw = Draw::new(seed);
            (0..20).map(|_| draw.below(100)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        assert!(drawn(3).iter().all(|n| *n < 100));
    }
}
