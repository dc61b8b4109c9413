//! A set of counts as one value of shared data: a version, then for each way a fingerprint and a count
//! ([`crate::algorithm`]), three numbers of 64 bits, little-endian.

use crate::algorithm::Count;
use crate::compile::MAX_WINDOW;

/// No limit's count says anything for longer: two windows, and what rounding adds. One that claims to was written by somebody else,
/// or before the clock was set back.
const LONGEST: u64 = 2 * MAX_WINDOW + 10_000_000_000;

/// Counts in a set.
pub(crate) const WAYS: usize = 16;
const VERSION: u8 = 2;
const WAY_BYTES: usize = 24;
pub(crate) const SET_BYTES: usize = 1 + WAYS * WAY_BYTES;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    /// 0 where nobody has used it.
    pub(crate) fingerprint: u64,
    pub(crate) count: Count,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set {
    ways: [Way; WAYS],
}

impl Set {
    /// Reads a value; one of another length or version is an empty set.
    pub(crate) fn decode(value: &[u8]) -> Self {
        let mut set = Self::default();
        if let Some((&VERSION, rest)) = value.split_first()
            && value.len() == SET_BYTES
        {
            for (way, bytes) in set.ways.iter_mut().zip(rest.as_chunks::<WAY_BYTES>().0) {
                let mut numbers = bytes.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number));
                let mut next = || numbers.next().unwrap_or_default();
                *way = Way { fingerprint: next(), count: Count { until: next(), value: next() } };
            }
        }
        set
    }

    /// Writes the value.
    pub(crate) fn encode(&self) -> [u8; SET_BYTES] {
        let mut value = [VERSION; SET_BYTES];
        if let Some((_, rest)) = value.split_first_mut() {
            for (way, bytes) in self.ways.iter().zip(rest.as_chunks_mut::<WAY_BYTES>().0) {
                let numbers = [way.fingerprint, way.count.until, way.count.value];
                for (to, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
                    *to = number.to_le_bytes();
                }
            }
        }
        value
    }

    /// The way of this count, or one that it may take. `may_replace` allows a live one: the one nearest to its end.
    pub(crate) fn way(&mut self, fingerprint: u64, now: u64, may_replace: bool) -> Option<&mut Way> {
        let own = self.ways.iter().position(|way| way.fingerprint == fingerprint);
        let place = own.or_else(|| {
            let left = |way: &Way| match way.count.until.saturating_sub(now) {
                left if left > LONGEST => 0,
                left => left,
            };
            let (place, nearest) = self.ways.iter().enumerate().min_by_key(|(_, way)| left(way))?;
            (may_replace || left(nearest) == 0).then_some(place)
        })?;
        let way = self.ways.get_mut(place)?;
        if own.is_none() {
            *way = Way { fingerprint, count: Count::default() };
        }
        Some(way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn way(fingerprint: u64, until: u64) -> Way {
        Way { fingerprint, count: Count { until, value: until.wrapping_mul(3) } }
    }

    #[test]
    fn a_count_finds_its_own_way_before_any_other() {
        let mut set = Set::default();
        *set.way(7, 10, false).unwrap() = way(7, 20);
        *set.way(8, 10, false).unwrap() = way(8, 15);
        assert_eq!(set.way(7, 30, true), Some(&mut way(7, 20)));
    }

    #[test]
    fn a_live_way_is_taken_only_where_that_is_allowed_and_then_the_nearest_to_its_end() {
        let mut set = Set::default();
        for (to, number) in set.ways.iter_mut().zip(100..) {
            *to = way(number, number);
        }
        assert_eq!(set.way(7, 99, false), None);
        assert_eq!(set.way(7, 99, true), Some(&mut way(7, 0)));
        assert!(set.ways.iter().all(|way| way.fingerprint != 100), "the first was the nearest to its end");
        assert_eq!(set.way(8, 101, false), Some(&mut way(8, 0)));
    }

    #[test]
    fn a_way_that_claims_to_live_for_ever_is_free() {
        let mut set = Set { ways: [way(1, u64::MAX); WAYS] };
        assert!(set.way(2, 100, false).is_some());
        let mut set = Set { ways: [way(1, 100 + LONGEST); WAYS] };
        assert!(set.way(2, 100, false).is_none());
    }

    #[test]
    fn another_length_or_version_is_an_empty_set() {
        let good = Set { ways: [way(1, 2); WAYS] }.encode();
        assert_eq!(Set::decode(&good).encode(), good);
        let mut newer = good;
        newer[0] += 1;
        for value in [&newer, &good[1..], &good[..20], &[]] {
            assert_eq!(Set::decode(value), Set::default());
        }
    }

    proptest! {
        #[test]
        fn arbitrary_values_never_panic(value in proptest::collection::vec(any::<u8>(), 0..500), now: u64) {
            let mut set = Set::decode(&value);
            let _ = set.way(1, now, false);
            prop_assert!(set.way(1, now, true).is_some());
        }

        #[test]
        fn a_set_of_any_content_is_written_as_it_was_read(mut value in proptest::collection::vec(any::<u8>(), SET_BYTES)) {
            value[0] = VERSION;
            prop_assert_eq!(Set::decode(&value).encode().to_vec(), value);
        }
    }
}
