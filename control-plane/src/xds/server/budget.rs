//! How much memory all clients together make the server hold.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tonic::Status;

/// A number of bytes that all streams spend together.
#[derive(Debug)]
pub(super) struct Budget {
    spent: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { spent: AtomicUsize::new(0), limit })
    }

    /// A part of the budget that holds nothing yet.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        Share { budget: self.clone(), bytes: AtomicUsize::new(0) }
    }
}

/// What one stream holds. Dropping it gives everything back.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: AtomicUsize,
}

impl Share {
    /// The share holds this much from now on.
    ///
    /// # Errors
    /// All shares together hold more than they may. The bytes count all the same, until this share
    /// holds less again.
    pub(super) fn set(&self, bytes: usize) -> Result<(), Status> {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        self.spend(bytes, before)
    }

    /// The share holds this much more from now on.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub(super) fn add(&self, bytes: usize) -> Result<(), Status> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.spend(bytes, 0)
    }

    /// The share holds nothing from now on.
    pub(super) fn release(&self) {
        let before = self.bytes.swap(0, Ordering::Relaxed);
        self.budget.spent.fetch_sub(before, Ordering::Relaxed);
    }

    fn spend(&self, more: usize, less: usize) -> Result<(), Status> {
        let Budget { spent, limit } = &*self.budget;
        let before = spent.fetch_add(more, Ordering::Relaxed);
        spent.fetch_sub(less, Ordering::Relaxed);
        if more > less && before.saturating_add(more - less) > *limit {
            return Err(Status::resource_exhausted("the control plane holds as much memory for its clients as it may"));
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_counted_together_and_given_back() {
        let budget = Budget::new(10);
        let (one, two) = (budget.share(), budget.share());
        one.set(6).unwrap();
        two.add(3).unwrap();
        assert!(two.add(2).is_err());
        one.set(2).unwrap();
        two.add(2).unwrap();
        drop(two);
        one.set(10).unwrap();
        drop(one);
        assert_eq!(budget.spent.load(Ordering::Relaxed), 0);
    }
}
