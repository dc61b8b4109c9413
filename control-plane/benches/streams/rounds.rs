//! Figures of several subjects, taken in rounds.
//!
//! A machine whose speed drifts slows all windows of a round, and each round begins with another
//! subject. So the median of the rounds counts. Differences and ratios are taken within a round,
//! and their median counts.

use legation_testing::measure::cost::median;

/// One figure of each subject, in the order of the subjects.
pub struct Figure(Vec<Vec<f64>>);

impl Figure {
    pub fn new(subjects: usize) -> Self {
        Self(vec![Vec::new(); subjects])
    }

    pub fn push(&mut self, subject: usize, value: f64) {
        self.0[subject].push(value);
    }

    pub fn median(&self, subject: usize) -> f64 {
        median(self.0[subject].clone())
    }

    /// Returns the difference to another subject.
    pub fn over(&self, subject: usize, other: usize) -> f64 {
        self.paired(subject, other, |one, other| one - other)
    }

    /// Returns the ratio to another subject.
    pub fn times(&self, subject: usize, other: usize) -> f64 {
        self.paired(subject, other, |one, other| one / other)
    }

    fn paired(&self, subject: usize, other: usize, compare: fn(f64, f64) -> f64) -> f64 {
        median(self.0[subject].iter().zip(&self.0[other]).map(|(one, other)| compare(*one, *other)).collect())
    }
}

/// Returns the subjects of all windows, round after round.
pub fn order(rounds: usize, subjects: usize) -> impl Iterator<Item = usize> {
    (0..rounds).flat_map(move |round| (0..subjects).map(move |subject| (round + subject) % subjects))
}
