//! How long a generation takes: from the moment that a changed file was noticed to the ACK of the
//! last node that was connected when the generation was published.
//!
//! Pure: time comes in as an argument.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::xds::StreamId;

/// The newest generation on its way.
#[derive(Debug, Default)]
pub struct Propagation(Option<UnderWay>);

#[derive(Debug)]
struct UnderWay {
    generation: u64,
    noticed: Instant,
    /// Streams that have not confirmed it yet.
    awaited: BTreeSet<StreamId>,
    last_ack: Option<Instant>,
}

impl Propagation {
    /// A generation is published while these streams are open. Its change was noticed some time
    /// before. An earlier generation that is still on its way never arrives: clients go straight to
    /// the newest.
    pub fn published(&mut self, generation: u64, noticed: Instant, streams: impl Iterator<Item = StreamId>) {
        self.0 = Some(UnderWay { generation, noticed, awaited: streams.collect(), last_ack: None });
    }

    /// Stops waiting for whatever is on its way.
    pub fn cancel(&mut self) {
        self.0 = None;
    }

    /// A stream has all of a generation. Returns how long that took, if the stream is the last.
    pub fn confirmed(&mut self, stream: StreamId, generation: u64, now: Instant) -> Option<Duration> {
        let under_way = self.0.as_mut().filter(|under_way| under_way.generation == generation)?;
        if under_way.awaited.remove(&stream) {
            under_way.last_ack = Some(now);
        }
        self.arrived()
    }

    /// A stream ended. Returns how long the others took, if it was the last.
    pub fn closed(&mut self, stream: StreamId) -> Option<Duration> {
        self.0.as_mut()?.awaited.remove(&stream);
        self.arrived()
    }

    fn arrived(&mut self) -> Option<Duration> {
        let under_way = self.0.take_if(|under_way| under_way.awaited.is_empty())?;
        // Without an ACK no node was there, or all left. Then there is nothing to measure.
        Some(under_way.last_ack?.saturating_duration_since(under_way.noticed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: StreamId = StreamId(1);
    const TWO: StreamId = StreamId(2);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_last_ack_ends_it_once() {
        let start = Instant::now();
        let mut propagation = Propagation::default();
        propagation.published(7, start, [ONE, TWO].into_iter());
        assert_eq!(propagation.confirmed(ONE, 7, start + seconds(1)), None);
        assert_eq!(propagation.confirmed(ONE, 7, start + seconds(2)), None, "a second word of the same stream");
        assert_eq!(propagation.confirmed(TWO, 6, start + seconds(2)), None, "an older generation");
        assert_eq!(propagation.confirmed(TWO, 7, start + seconds(3)), Some(seconds(3)));
        assert_eq!(propagation.confirmed(TWO, 7, start + seconds(4)), None);
    }

    #[test]
    fn who_leaves_is_not_waited_for() {
        let start = Instant::now();
        let mut propagation = Propagation::default();
        propagation.published(7, start, [ONE, TWO].into_iter());
        assert_eq!(propagation.confirmed(ONE, 7, start + seconds(1)), None);
        assert_eq!(
            propagation.closed(TWO),
            Some(seconds(1)),
            "until the last ACK, not until the end of the other stream"
        );
    }

    #[test]
    fn with_nobody_there_nothing_is_measured() {
        let start = Instant::now();
        let mut propagation = Propagation::default();
        propagation.published(1, start, std::iter::empty());
        assert_eq!(propagation.confirmed(ONE, 1, start + seconds(9)), None, "it came later");
        propagation.published(2, start, std::iter::once(ONE));
        assert_eq!(propagation.closed(ONE), None);
    }

    #[test]
    fn a_newer_generation_takes_the_place_of_one_under_way() {
        let start = Instant::now();
        let mut propagation = Propagation::default();
        propagation.published(1, start, std::iter::once(ONE));
        propagation.published(2, start + seconds(5), std::iter::once(ONE));
        assert_eq!(propagation.confirmed(ONE, 1, start + seconds(6)), None);
        assert_eq!(propagation.confirmed(ONE, 2, start + seconds(7)), Some(seconds(2)));
    }
}
