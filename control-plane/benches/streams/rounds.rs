//! Figures of several subjects, taken in rounds: a machine whose speed drifts slows all windows of
//! a round, and another subject is the first of each. So the median of the rounds counts, and of
//! differences and ratios the median of those within a round.

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

    /// How much more it is than that of another.
    pub fn over(&self, subject: usize, other: usize) -> f64 {
        self.paired(subject, other, |one, other| one - other)
    }

    /// How many times that of another it is.
    pub fn times(&self, subject: usize, other: usize) -> f64 {
        self.paired(subject, other, |one, other| one / other)
    }

    fn paired(&self, subject: usize, other: usize, compare: fn(f64, f64) -> f64) -> f64 {
        median(self.0[subject].iter().zip(&self.0[other]).map(|(one, other)| compare(*one, *other)).collect())
    }
}

/// The subjects of all windows, round after round.
pub fn order(rounds: usize, subjects: usize) -> impl Iterator<Item = usize> {
    (0..rounds).flat_map(move |round| (0..subjects).map(move |subject| (round + subject) % subjects))
}
