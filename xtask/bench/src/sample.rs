//! Medians, percentiles and spreads of what was measured. It is pure, and knows no benchmark.

/// Values of one thing, one for each round.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample(Vec<f64>);

impl Sample {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value that half of all do not exceed; NaN of nothing.
    pub fn median(&self) -> f64 {
        self.percentile(50.0)
    }

    /// The least value that at least `percent` of all do not exceed; NaN of nothing.
    pub fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    /// The median distance from the median: half of all rounds were nearer.
    pub fn spread(&self) -> f64 {
        let median = self.median();
        Self(self.0.iter().map(|value| (value - median).abs()).collect()).median()
    }

    /// The same in another unit.
    pub fn scaled(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|value| value * factor).collect())
    }

    /// The same without fractions.
    pub fn rounded(&self) -> Self {
        Self(self.0.iter().map(|value| value.round()).collect())
    }

    /// How many times `other` this is, in each round.
    pub fn times(&self, other: &Self) -> Self {
        self.paired(other, |own, other| own / other)
    }

    /// What this has above `other` in each round, so that a slow round is slow in both.
    pub fn above(&self, other: &Self) -> Self {
        self.paired(other, |own, other| own - other)
    }

    /// The same, as a share of `other` in percent.
    pub fn percent_above(&self, other: &Self) -> Self {
        self.paired(other, |own, other| (own - other) / other * 100.0)
    }

    fn paired(&self, other: &Self, of: impl Fn(f64, f64) -> f64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(own, other)| of(*own, *other)).collect())
    }
}

impl FromIterator<f64> for Sample {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(values: &[f64]) -> Sample {
        values.iter().copied().collect()
    }

    #[test]
    fn one_slow_round_does_not_move_the_median() {
        let rounds = sample(&[3.0, 1.0, 900.0, 2.0, 4.0]);
        assert_eq!(rounds.median(), 3.0);
        assert_eq!(rounds.spread(), 1.0);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred: Sample = (1..=100).map(f64::from).collect();
        assert_eq!(hundred.percentile(50.0), 50.0);
        assert_eq!(hundred.percentile(99.0), 99.0);
        assert_eq!(sample(&[7.0]).percentile(99.0), 7.0);
        assert!(sample(&[]).median().is_nan());
    }

    #[test]
    fn differences_are_taken_within_a_round() {
        let (ours, floor) = (sample(&[110.0, 220.0, 330.0]), sample(&[100.0, 200.0, 300.0]));
        assert_eq!(ours.above(&floor), sample(&[10.0, 20.0, 30.0]));
        assert_eq!(ours.times(&floor), sample(&[1.1, 1.1, 1.1]));
        assert_eq!(ours.percent_above(&floor), sample(&[10.0, 10.0, 10.0]));
    }
}
