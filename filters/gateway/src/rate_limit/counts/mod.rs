//! Storage of counts: tables of fixed size in Envoy's shared data, changed by compare and swap. All
//! workers of an Envoy thus count as one.
//!
//! Shared data can neither delete nor expire a key. So there is a fixed number of keys, each a
//! *set* of slots. A slot holds a fingerprint and a count ([`crate::plan::algorithm`]). An expired
//! count means the same as none, so its slot is free. The filter never takes a live slot of a
//! caller. Otherwise somebody with many addresses could make it forget another caller's count.
//!
//! If all slots of its set are live, a caller is charged to the count of the limit as a whole,
//! which such callers share. Those counts have their own table, where there is always room, if need
//! be in place of the count that expires next. Only the configuration decides how many limits there
//! are, so callers cannot exploit this.
//!
//! There is one table for callers with a key, one for claims of tokens, and one for what anybody
//! can make up (addresses, headers). So none can crowd out another.
//!
//! Other plugins may write to the same key space. A value of another length or version counts as an
//! empty set.

mod set;
mod table;

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::outside::{CountError, Seed, SharedState};
use crate::plan::algorithm::{Algorithm, Count};
use set::{Set, Slot};

pub use table::Table;

/// The number of tries of a swap. Each failure means that another worker counted a request
/// meanwhile.
pub const TRIES: usize = 16;

const SEED_KEY: &[u8] = b"legation/2/seed";

impl Seed {
    /// Returns the fingerprint of the count of limit `id` for the caller `caller` of kind `kind`.
    /// It is never 0, which marks an unused slot.
    #[must_use]
    pub fn fingerprint(self, id: &[u8], kind: u8, caller: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        // The length distinguishes ("ab", "c") from ("a", "bc").
        hasher.write_usize(id.len());
        hasher.write(id);
        hasher.write_u8(kind);
        hasher.write(caller);
        hasher.finish().max(1)
    }
}

/// Creates the tables unless they exist, and returns their seed. New ones get `random` as their
/// seed.
///
/// The first write of a key has nothing to compare with, so two writers would overwrite each
/// other's counts. Envoy configures a canary on the main thread before any worker. The canary
/// creates the tables and writes the seed last, and all workers find it.
///
/// # Errors
/// [`CountError::Unavailable`] if shared data cannot be written.
pub fn prepare(state: &mut impl SharedState, random: [u8; 16]) -> Result<Seed, CountError> {
    if let Some((value, _)) = state.get(SEED_KEY)?
        && let Ok(seed) = <[u8; 16]>::try_from(value.as_slice())
    {
        return Ok(Seed(seed));
    }
    let empty = Set::default().encode();
    for table in Table::ALL {
        for set in 0..table.sets() {
            state.set(&table.key(set), &empty, 0)?;
        }
    }
    state.set(SEED_KEY, &random, 0)?;
    Ok(Seed(random))
}

/// The key of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The table of its own count.
    pub table: Table,
    /// The fingerprint of its own count.
    pub own: u64,
    /// The fingerprint of the limit as a whole. Equal to `own` if all callers count together.
    pub whole: u64,
}

/// The result of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The count that was charged in the end.
    pub key: Key,
    /// The count after it.
    pub count: Count,
    /// The nanoseconds until a request would be admitted, if this one is not.
    pub wait: Option<u64>,
}

impl Key {
    /// Charges `cost` if there is room.
    ///
    /// # Errors
    /// [`CountError`]. Nothing is charged then.
    pub fn charge(
        self,
        state: &mut impl SharedState,
        algorithm: Algorithm,
        now: u64,
        cost: u64,
    ) -> Result<Counted, CountError> {
        self.visit(state, now, |count| match algorithm.charge(count, now, cost) {
            Ok(charged) => Step { count: charged, wait: None },
            Err(wait) => Step { count: algorithm.settle(count, now), wait: Some(wait) },
        })
    }

    /// Returns whether there is room for `cost`, and charges nothing.
    ///
    /// # Errors
    /// [`CountError`].
    pub fn look(
        self,
        state: &mut impl SharedState,
        algorithm: Algorithm,
        now: u64,
        cost: u64,
    ) -> Result<Counted, CountError> {
        self.visit(state, now, |count| Step { count, wait: algorithm.charge(count, now, cost).err() })
    }

    /// Takes a charge of `cost` back.
    ///
    /// # Errors
    /// [`CountError`]. The charge then stays until it expires.
    pub fn give_back(
        self,
        state: &mut impl SharedState,
        algorithm: Algorithm,
        now: u64,
        cost: u64,
    ) -> Result<(), CountError> {
        let less = |count: Count| if count.until > now { algorithm.give_back(count, now, cost) } else { count };
        self.visit(state, now, |count| Step { count: less(count), wait: None }).map(drop)
    }

    /// Uses the caller's own count while there is room for it, otherwise that of the limit as a
    /// whole.
    fn visit(
        self,
        state: &mut impl SharedState,
        now: u64,
        step: impl Fn(Count) -> Step,
    ) -> Result<Counted, CountError> {
        if let Some(counted) = self.visit_one(state, now, &step)? {
            return Ok(counted);
        }
        let whole = Self { table: Table::Whole, own: self.whole, whole: self.whole };
        whole.visit_one(state, now, &step)?.ok_or(CountError::Unavailable)
    }

    /// Reads, steps and swaps until no other worker was faster. `None` if the set has no room.
    fn visit_one(
        self,
        state: &mut impl SharedState,
        now: u64,
        step: impl Fn(Count) -> Step,
    ) -> Result<Option<Counted>, CountError> {
        let key = self.table.key(self.own.rem_euclid(u64::from(self.table.sets())) as u16);
        for _ in 0..TRIES {
            let (mut set, cas) = match state.get(&key)? {
                Some((value, cas)) => (Set::decode(&value), cas),
                None => (Set::default(), 0),
            };
            let Some(slot) = set.slot(self.own, now, self.table == Table::Whole) else {
                return Ok(None);
            };
            let Step { count, wait } = step(slot.count);
            let is_same = count == slot.count;
            *slot = Slot { fingerprint: self.own, count };
            if is_same || state.set(&key, &set.encode(), cas)? {
                return Ok(Some(Counted { key: self, count, wait }));
            }
        }
        Err(CountError::Contended)
    }
}

struct Step {
    /// The count to write, if it differs.
    count: Count,
    /// Nanoseconds to wait, where there is no room.
    wait: Option<u64>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::set::{SET_BYTES, SLOTS};
    use super::*;
    use crate::plan::algorithm::TokenBucket;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Shared data as Envoy keeps it, with faults to order.
    #[derive(Default)]
    pub(crate) struct Memory {
        values: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
        last_cas: u32,
        /// This many swaps are lost to another worker.
        pub(crate) lost_swaps: usize,
        good_writes: Option<usize>,
    }

    impl Memory {
        pub(crate) const SEED: Seed = Seed([7; 16]);

        pub(crate) fn prepared() -> Self {
            let mut memory = Self::default();
            assert_eq!(prepare(&mut memory, [7; 16]), Ok(Self::SEED));
            memory
        }

        /// After this many writes, keys not yet used for counting cannot be read.
        pub(crate) fn broken_keys_after(&mut self, writes: usize) {
            self.good_writes = Some(writes);
        }

        pub(crate) fn mend(&mut self) {
            self.good_writes = None;
        }

        fn is_untouched(&self, key: &[u8]) -> bool {
            self.values.get(key).is_none_or(|(value, _)| value == &Set::default().encode())
        }
    }

    impl SharedState for Memory {
        fn get(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, CountError> {
            if self.good_writes == Some(0) && self.is_untouched(key) {
                return Err(CountError::Unavailable);
            }
            Ok(self.values.get(key).cloned())
        }

        fn set(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<bool, CountError> {
            self.last_cas += 1;
            let now = self.last_cas;
            if let Some((_, current)) = self.values.get_mut(key) {
                if self.lost_swaps > 0 && cas != 0 {
                    self.lost_swaps -= 1;
                    *current = now;
                }
                if cas != 0 && *current != cas {
                    return Ok(false);
                }
            }
            self.good_writes = self.good_writes.map(|left| left.saturating_sub(1));
            self.values.insert(key.to_owned(), (value.to_owned(), now));
            Ok(true)
        }
    }

    const NOW: u64 = 1_800_000_000_000_000_000;

    fn hourly(burst: u64) -> Algorithm {
        Algorithm::TokenBucket(TokenBucket::new(burst, 3_600_000_000_000, burst).unwrap())
    }

    fn remaining(algorithm: Algorithm, counted: Counted) -> u64 {
        algorithm.standing(counted.count, NOW).remaining
    }

    /// A key of set 5 of the table of addresses; each number is another caller.
    fn caller(number: u64) -> Key {
        Key { table: Table::Anyone, own: 5 + number * u64::from(Table::Anyone.sets()), whole: 99 }
    }

    #[test]
    fn preparing_twice_keeps_the_seed_and_the_counts() {
        let mut memory = Memory::prepared();
        caller(1).charge(&mut memory, hourly(2), NOW, 1).unwrap();
        assert_eq!(prepare(&mut memory, [9; 16]), Ok(Memory::SEED));
        let counted = caller(1).charge(&mut memory, hourly(2), NOW, 1).unwrap();
        assert_eq!(remaining(hourly(2), counted), 0);
        let sets: usize = Table::ALL.iter().map(|table| usize::from(table.sets())).sum();
        assert_eq!(memory.values.len(), sets + 1);
    }

    #[test]
    fn keys_say_version_table_and_set() {
        let sets = |table: Table| (0..table.sets()).map(move |set| table.key(set));
        let all: std::collections::BTreeSet<_> = Table::ALL.into_iter().flat_map(sets).collect();
        assert_eq!(all.len(), 3 * 4_096 + 16_384);
        assert_eq!(Table::Known.key(0xfff), *b"legation/2/k/0fff");
        assert_eq!(Table::Anyone.key(0x9a), *b"legation/2/a/009a");
    }

    #[test]
    fn a_lost_swap_is_tried_again_and_charged_once() {
        let mut memory = Memory::prepared();
        memory.lost_swaps = TRIES - 1;
        let counted = caller(1).charge(&mut memory, hourly(5), NOW, 1).unwrap();
        assert_eq!(remaining(hourly(5), counted), 4);
    }

    /// Shared data that other workers use between a worker's read and its write.
    struct Worker<'a>(&'a std::sync::Mutex<Memory>);

    impl SharedState for Worker<'_> {
        fn get(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, CountError> {
            self.0.lock().unwrap().get(key)
        }

        fn set(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<bool, CountError> {
            self.0.lock().unwrap().set(key, value, cas)
        }
    }

    #[test]
    fn workers_admit_together_exactly_what_the_limit_says() {
        let memory = std::sync::Mutex::new(Memory::prepared());
        let admitted = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..200 {
                        let counted = caller(number % 2).charge(&mut Worker(&memory), hourly(50), NOW, 1);
                        if counted.is_ok_and(|counted| counted.wait.is_none()) {
                            admitted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 100);
    }

    #[test]
    fn swaps_lost_again_and_again_are_an_error_and_charge_nothing() {
        let mut memory = Memory::prepared();
        memory.lost_swaps = TRIES;
        assert_eq!(caller(1).charge(&mut memory, hourly(5), NOW, 1), Err(CountError::Contended));
        let looked = caller(1).look(&mut memory, hourly(5), NOW, 1).unwrap();
        assert_eq!(remaining(hourly(5), looked), 5);
    }

    #[test]
    fn many_callers_never_make_another_forgotten() {
        let mut memory = Memory::prepared();
        let victim = caller(0);
        victim.charge(&mut memory, hourly(1), NOW, 1).unwrap();
        for number in 1..500 {
            caller(number).charge(&mut memory, hourly(1), NOW, 1).unwrap();
        }
        assert!(victim.charge(&mut memory, hourly(1), NOW, 1).unwrap().wait.is_some());
    }

    #[test]
    fn callers_beyond_a_full_set_share_the_count_of_the_limit() {
        let mut memory = Memory::prepared();
        let admitted =
            (0..500).filter(|&number| caller(number).charge(&mut memory, hourly(3), NOW, 1).unwrap().wait.is_none());
        assert_eq!(admitted.count(), SLOTS + 3);
    }

    #[test]
    fn a_slot_is_free_again_once_its_bucket_is_full() {
        let mut memory = Memory::prepared();
        for number in 0..SLOTS as u64 {
            caller(number).charge(&mut memory, hourly(1), NOW, 1).unwrap();
        }
        let later = NOW + 3_600_000_000_000;
        let counted = caller(100).charge(&mut memory, hourly(1), later, 1).unwrap();
        assert_eq!((counted.key, counted.wait), (caller(100), None));
    }

    #[test]
    fn the_count_of_a_limit_always_finds_room() {
        let mut memory = Memory::prepared();
        let whole = |number: u64| {
            let own = 5 + number * u64::from(Table::Whole.sets());
            Key { table: Table::Whole, own, whole: own }
        };
        for number in 0..SLOTS as u64 {
            whole(number).charge(&mut memory, hourly(1), NOW + number, 1).unwrap();
        }
        assert_eq!(whole(100).charge(&mut memory, hourly(1), NOW, 1).unwrap().wait, None);
        assert!(whole(100).charge(&mut memory, hourly(1), NOW, 1).unwrap().wait.is_some());
        // It took the place of the count that was nearest to its end; the others are as they were.
        assert!(whole(1).look(&mut memory, hourly(1), NOW + 1, 1).unwrap().wait.is_some());
    }

    #[test]
    fn no_count_of_a_limit_makes_a_callers_forgotten() {
        let mut memory = Memory::prepared();
        let sets = u64::from(Table::Known.sets());
        // Numbers that are at home in the same set of each table.
        let known = |number: u64| Key { table: Table::Known, own: 5 + number * sets, whole: 5 + number * sets + 1 };
        for number in 0..SLOTS as u64 {
            known(number).charge(&mut memory, hourly(1), NOW, 1).unwrap();
        }
        for number in 0..100 {
            let own = 5 + number * sets;
            let whole = Key { table: Table::Whole, own, whole: own };
            whole.charge(&mut memory, hourly(1), NOW, 1).unwrap();
            known(1_000 + number).charge(&mut memory, hourly(1), NOW, 1).unwrap();
        }
        for number in 0..SLOTS as u64 {
            assert!(known(number).charge(&mut memory, hourly(1), NOW, 1).unwrap().wait.is_some(), "{number}");
        }
    }

    #[test]
    fn what_is_given_back_can_be_used_again() {
        let mut memory = Memory::prepared();
        let counted = caller(1).charge(&mut memory, hourly(1), NOW, 1).unwrap();
        counted.key.give_back(&mut memory, hourly(1), NOW, 1).unwrap();
        assert_eq!(caller(1).charge(&mut memory, hourly(1), NOW, 1).unwrap().wait, None);
        caller(2).give_back(&mut memory, hourly(1), NOW, 1).unwrap();
        assert_eq!(caller(2).charge(&mut memory, hourly(1), NOW, 1).unwrap().wait, None);
        assert!(caller(2).charge(&mut memory, hourly(1), NOW, 1).unwrap().wait.is_some());
    }

    #[test]
    fn a_missing_or_foreign_value_is_an_empty_set() {
        let mut memory = Memory::default();
        memory.values.insert(Table::Anyone.key(5).to_vec(), (vec![2; SET_BYTES], 1));
        assert_eq!(caller(1).charge(&mut memory, hourly(1), NOW, 1).unwrap().wait, None);
        assert!(caller(1).charge(&mut memory, hourly(1), NOW, 1).unwrap().wait.is_some());
        let elsewhere = Key { own: 6, ..caller(1) };
        assert_eq!(elsewhere.charge(&mut memory, hourly(1), NOW, 1).unwrap().wait, None);
        assert!(elsewhere.charge(&mut memory, hourly(1), NOW, 1).unwrap().wait.is_some());
    }

    #[test]
    fn fingerprints_tell_limits_kinds_and_callers_apart() {
        let seed = Memory::SEED;
        let all = [
            seed.fingerprint(b"ab", 1, b"c"),
            seed.fingerprint(b"a", 1, b"bc"),
            seed.fingerprint(b"ab", 2, b"c"),
            seed.fingerprint(b"ab", 1, b"d"),
            Seed([8; 16]).fingerprint(b"ab", 1, b"c"),
        ];
        let distinct: std::collections::BTreeSet<u64> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    proptest! {
        #[test]
        fn arbitrary_values_never_panic(value in proptest::collection::vec(any::<u8>(), 0..300), now: u64) {
            let mut memory = Memory::default();
            memory.values.insert(Table::Anyone.key(5).to_vec(), (value, 1));
            let _ = caller(1).charge(&mut memory, hourly(3), now, 1);
            let _ = caller(1).give_back(&mut memory, hourly(3), now, 1);
        }
    }
}
