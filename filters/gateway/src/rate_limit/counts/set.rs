//! A set of counts as one value of shared data: a version, then for each slot a fingerprint and a
//! count ([`crate::plan::algorithm`]), which are three numbers of 64 bits, little-endian.

use crate::plan::MAX_WINDOW;
use crate::plan::algorithm::Count;

/// The longest life of a count: two windows, and some rounding. A count with a longer life was
/// written by another plugin, or before the clock was set back.
const LONGEST: u64 = 2 * MAX_WINDOW + 10_000_000_000;

/// The number of counts in a set.
pub(crate) const SLOTS: usize = 16;
const VERSION: u8 = 2;
const SLOT_BYTES: usize = 24;
pub(crate) const SET_BYTES: usize = 1 + SLOTS * SLOT_BYTES;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    /// 0 if it is unused.
    pub(crate) fingerprint: u64,
    pub(crate) count: Count,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set {
    slots: [Slot; SLOTS],
}

impl Set {
    /// Reads a value. A value of another length or version is an empty set.
    pub(crate) fn decode(value: &[u8]) -> Self {
        let mut set = Self::default();
        if let Some((&VERSION, rest)) = value.split_first()
            && value.len() == SET_BYTES
        {
            for (slot, bytes) in set.slots.iter_mut().zip(rest.as_chunks::<SLOT_BYTES>().0) {
                let mut numbers = bytes.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number));
                let mut next = || numbers.next().unwrap_or_default();
                *slot = Slot { fingerprint: next(), count: Count { until: next(), value: next() } };
            }
        }
        set
    }

    /// Writes the value.
    pub(crate) fn encode(&self) -> [u8; SET_BYTES] {
        let mut value = [VERSION; SET_BYTES];
        if let Some((_, rest)) = value.split_first_mut() {
            for (slot, bytes) in self.slots.iter().zip(rest.as_chunks_mut::<SLOT_BYTES>().0) {
                let numbers = [slot.fingerprint, slot.count.until, slot.count.value];
                for (to, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
                    *to = number.to_le_bytes();
                }
            }
        }
        value
    }

    /// Returns the slot of this count, or one that it may take. With `may_replace` that may be a
    /// live one: the one that expires next.
    pub(crate) fn slot(&mut self, fingerprint: u64, now: u64, may_replace: bool) -> Option<&mut Slot> {
        let own = self.slots.iter().position(|slot| slot.fingerprint == fingerprint);
        let place = own.or_else(|| {
            let left = |slot: &Slot| match slot.count.until.saturating_sub(now) {
                left if left > LONGEST => 0,
                left => left,
            };
            let (place, nearest) = self.slots.iter().enumerate().min_by_key(|(_, slot)| left(slot))?;
            (may_replace || left(nearest) == 0).then_some(place)
        })?;
        let slot = self.slots.get_mut(place)?;
        if own.is_none() {
            *slot = Slot { fingerprint, count: Count::default() };
        }
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot(fingerprint: u64, until: u64) -> Slot {
        Slot { fingerprint, count: Count { until, value: until.wrapping_mul(3) } }
    }

    #[test]
    fn a_count_finds_its_own_slot_before_any_other() {
        let mut set = Set::default();
        *set.slot(7, 10, false).unwrap() = slot(7, 20);
        *set.slot(8, 10, false).unwrap() = slot(8, 15);
        assert_eq!(set.slot(7, 30, true), Some(&mut slot(7, 20)));
    }

    #[test]
    fn a_live_slot_is_taken_only_where_that_is_allowed_and_then_the_nearest_to_its_end() {
        let mut set = Set::default();
        for (to, number) in set.slots.iter_mut().zip(100..) {
            *to = slot(number, number);
        }
        assert_eq!(set.slot(7, 99, false), None);
        assert_eq!(set.slot(7, 99, true), Some(&mut slot(7, 0)));
        assert!(set.slots.iter().all(|slot| slot.fingerprint != 100), "the first was the nearest to its end");
        assert_eq!(set.slot(8, 101, false), Some(&mut slot(8, 0)));
    }

    #[test]
    fn a_slot_that_claims_to_live_for_ever_is_free() {
        let mut set = Set { slots: [slot(1, u64::MAX); SLOTS] };
        assert!(set.slot(2, 100, false).is_some());
        let mut set = Set { slots: [slot(1, 100 + LONGEST); SLOTS] };
        assert!(set.slot(2, 100, false).is_none());
    }

    #[test]
    fn another_length_or_version_is_an_empty_set() {
        let good = Set { slots: [slot(1, 2); SLOTS] }.encode();
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
            let _ = set.slot(1, now, false);
            prop_assert!(set.slot(1, now, true).is_some());
        }

        #[test]
        fn a_set_of_any_content_is_written_as_it_was_read(mut value in proptest::collection::vec(any::<u8>(), SET_BYTES)) {
            value[0] = VERSION;
            prop_assert_eq!(Set::decode(&value).encode().to_vec(), value);
        }
    }
}
