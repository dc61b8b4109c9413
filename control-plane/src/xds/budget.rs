//! How much clients together make the server hold.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tonic::Status;

/// A number of bytes, spent by all streams together.
#[derive(Debug)]
pub(super) struct Budget {
    spent: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { spent: AtomicUsize::new(0), limit })
    }

    /// A part of it, which holds nothing yet.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        Share { budget: self.clone(), bytes: AtomicUsize::new(0) }
    }
}

/// What one stream holds. It is given back in the end.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: AtomicUsize,
}

impl Share {
    /// It holds so much from now on.
    ///
    /// # Errors
    /// All together hold more than they may. It counts all the same, until this share holds less again.
    pub(super) fn set(&self, bytes: usize) -> Result<(), Status> {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        self.spend(bytes, before)
    }

    /// It holds so much more from now on.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub(super) fn add(&self, bytes: usize) -> Result<(), Status> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.spend(bytes, 0)
    }

    /// It holds nothing from now on.
    pub(super) fn release(&self) {
        let before = self.bytes.swap(0, Ordering::Relaxed);
        self.budget.spent.fetch_sub(before, Ordering::Relaxed);
    }

    fn spend(&self, more: usize, less: usize) -> Result<(), Status> {
        let Budget { spent, limit } = &*self.budget;
        let before = spent.fetch_add(more, Ordering::Relaxed);
        spent.fetch_sub(less, Ordering::Relaxed);
        if more > less && before.saturating_add(more - less) > *limit {
            return Err(Status::resource_exhausted("the control plane holds as much for its clients as it may"));
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.release();
    }
}

/// The body of a stream of requests; what comes in is put on the stream's share, until that is set to nothing when a request is
/// complete.
pub(super) struct Metered<B> {
    pub(super) body: B,
    pub(super) share: Arc<Share>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Metered<B>
where
    B::Error: Into<tonic::codegen::StdError>,
{
    type Data = Bytes;
    type Error = tonic::codegen::StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx).map(|frame| {
            let frame = frame?.map_err(Into::into);
            let counted = frame.and_then(|frame| {
                self.share.add(frame.data_ref().map_or(0, Bytes::len))?;
                Ok(frame)
            });
            Some(counted)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
