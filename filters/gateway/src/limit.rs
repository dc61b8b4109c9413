//! Rate limits: the arithmetic of a token bucket (GCRA), and charging a request to all of its limits or to none.
//!
//! A bucket is one number, the *theoretical arrival time* (TAT): the nanosecond at which it will be full again. A request
//! moves it one interval later and is admitted if that is no further ahead than the bucket is deep.

use crate::slots::{Account, CountError, Seed, SharedState, Table};
use crate::tables::Limit;

/// A token bucket's two constants, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gcra {
    /// Until one request more may come.
    interval: u64,
    /// Until an empty bucket is full.
    depth: u64,
}

impl Gcra {
    /// `limit` requests a window of `window` nanoseconds, `burst` of them at once. `None` where a number is 0 or the depth
    /// passes 2⁶⁴ ns. The interval is rounded up to a whole nanosecond, so that never more than `limit` a window pass.
    #[must_use]
    pub fn new(limit: u64, window: u64, burst: u64) -> Option<Self> {
        if limit == 0 || window == 0 || burst == 0 {
            return None;
        }
        let interval = window.div_ceil(limit);
        let depth = interval.checked_mul(burst)?;
        Some(Self { interval, depth })
    }

    /// Nanoseconds until one request more may come.
    #[must_use]
    pub fn interval(self) -> u64 {
        self.interval
    }

    /// Nanoseconds until an empty bucket is full.
    #[must_use]
    pub fn depth(self) -> u64 {
        self.depth
    }

    /// The TAT after one request at `now`, or the nanoseconds until one would be admitted.
    ///
    /// # Errors
    /// The wait, where the bucket is empty.
    pub fn charge(self, tat: u64, now: u64) -> Result<u64, u64> {
        let end = now.saturating_add(self.depth);
        let charged = self.at(tat, now).saturating_add(self.interval);
        if charged <= end { Ok(charged) } else { Err(charged - end) }
    }

    /// How many requests may come at once.
    #[must_use]
    pub fn remaining(self, tat: u64, now: u64) -> u64 {
        (self.depth - self.until_full(tat, now)) / self.interval.max(1)
    }

    /// Nanoseconds until the bucket is full.
    #[must_use]
    pub fn until_full(self, tat: u64, now: u64) -> u64 {
        (self.at(tat, now) - now).min(self.depth)
    }

    /// A TAT that is past is now: a bucket is no fuller than full. One further ahead than the depth is an empty bucket:
    /// the limit has become smaller since, or the clock was set back.
    fn at(self, tat: u64, now: u64) -> u64 {
        tat.clamp(now, now.saturating_add(self.depth))
    }
}

/// One limit as it applies to one request.
#[derive(Debug)]
pub struct Charge<'a> {
    /// The limit.
    pub limit: &'a Limit,
    /// What `RateLimit` calls it.
    pub name: &'a str,
    /// Whose count it is.
    pub caller: Caller<'a>,
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller<'a> {
    /// Everyone's.
    All,
    /// Those of the consumer of this name.
    Consumer(&'a str),
    /// Those from this address, in the form of [`crate::decide::address_of`].
    Address(&'a [u8]),
}

/// What a request's limits say.
#[derive(Debug)]
pub struct Verdict<'a> {
    /// How each limit stands after the request, in the order asked.
    pub reports: Vec<Report<'a>>,
    /// Where it is refused: nanoseconds until all limits would admit one.
    pub refused: Option<u64>,
}

/// How a limit stands.
#[derive(Debug)]
pub struct Report<'a> {
    /// What `RateLimit` calls it.
    pub name: &'a str,
    /// The limit.
    pub limit: &'a Limit,
    /// How many requests may come at once.
    pub remaining: u64,
    /// Nanoseconds until the bucket is full.
    pub until_full: u64,
}

/// Charges a request to all of the limits or, where one refuses, to none.
///
/// Limits are charged one after another, and what was charged is given back when a later one refuses; for those
/// microseconds another worker may see one request too many in an earlier limit, never one too few.
///
/// # Errors
/// [`CountError`] where a count cannot be kept; nothing remains charged that could be given back.
pub fn charge_all<'a>(
    state: &mut impl SharedState,
    seed: Seed,
    charges: &[Charge<'a>],
    now: u64,
) -> Result<Verdict<'a>, CountError> {
    let mut charged: Vec<(Account, Gcra)> = Vec::with_capacity(charges.len());
    let mut reports = Vec::with_capacity(charges.len());
    let mut refused = None;
    for charge in charges {
        let gcra = charge.limit.gcra;
        let account = account(seed, charge);
        // Once one has refused, the others are only asked how they stand.
        let counted = match refused {
            None => account.charge(state, gcra, now),
            Some(_) => account.look(state, gcra, now),
        };
        let counted = match counted {
            Ok(counted) => counted,
            Err(error) => {
                give_back(state, &charged, now);
                return Err(error);
            }
        };
        match (counted.wait, refused) {
            (None, None) => charged.push((counted.account, gcra)),
            (None, Some(_)) => {}
            (Some(wait), _) => {
                give_back(state, &charged, now);
                for (report, (_, gcra)) in reports.iter_mut().zip(charged.drain(..)) {
                    given_back(report, gcra);
                }
                refused = refused.max(Some(wait));
            }
        }
        reports.push(Report {
            name: charge.name,
            limit: charge.limit,
            remaining: gcra.remaining(counted.tat, now),
            until_full: gcra.until_full(counted.tat, now),
        });
    }
    Ok(Verdict { reports, refused })
}

fn give_back(state: &mut impl SharedState, charged: &[(Account, Gcra)], now: u64) {
    for (account, gcra) in charged {
        // Where this fails the limit stays one request too strict until it has refilled.
        let _ = account.give_back(state, *gcra, now);
    }
}

fn given_back(report: &mut Report<'_>, gcra: Gcra) {
    report.remaining += 1;
    report.until_full = report.until_full.saturating_sub(gcra.interval);
}

fn account(seed: Seed, charge: &Charge<'_>) -> Account {
    let id = charge.limit.id.as_bytes();
    let whole = seed.fingerprint(id, 0, b"");
    match charge.caller {
        Caller::All => Account { table: Table::Known, own: whole, whole },
        Caller::Consumer(name) => Account { table: Table::Known, own: seed.fingerprint(id, 1, name.as_bytes()), whole },
        Caller::Address(address) => Account { table: Table::Address, own: seed.fingerprint(id, 2, address), whole },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::tests::Memory;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1_800_000_000 * SECOND;

    fn limit(id: &str, quota: u64, window: u64) -> Limit {
        Limit {
            name: id.to_owned(),
            id: id.to_owned(),
            quota,
            window_seconds: None,
            gcra: Gcra::new(quota, window, quota).unwrap(),
        }
    }

    fn for_all(limit: &Limit) -> Charge<'_> {
        Charge { limit, name: &limit.name, caller: Caller::All }
    }

    #[test]
    fn a_full_bucket_admits_its_burst_and_then_one_each_interval() {
        let gcra = Gcra::new(60, 60 * SECOND, 3).unwrap();
        let mut tat = 0;
        for left in [2, 1, 0] {
            tat = gcra.charge(tat, START).unwrap();
            assert_eq!(gcra.remaining(tat, START), left);
        }
        assert_eq!(gcra.charge(tat, START), Err(SECOND));
        assert_eq!(gcra.charge(tat, START + SECOND - 1), Err(1));
        assert!(gcra.charge(tat, START + SECOND).is_ok());
        assert_eq!(gcra.until_full(tat, START + SECOND), 2 * SECOND);
    }

    #[test]
    fn a_clock_that_was_set_back_costs_one_interval_at_most() {
        let gcra = Gcra::new(10, 10 * SECOND, 10).unwrap();
        let far_ahead = START + 1_000_000 * SECOND;
        assert_eq!(gcra.charge(far_ahead, START), Err(SECOND));
        assert_eq!(gcra.until_full(far_ahead, START), 10 * SECOND);
    }

    #[test]
    fn the_largest_limits_do_not_overflow() {
        let year = 366 * 86_400 * SECOND;
        let gcra = Gcra::new(1_000_000_000, year, 1_000_000_000).unwrap();
        assert!(gcra.charge(u64::MAX, u64::MAX).is_ok());
        assert_eq!(gcra.remaining(0, START), 1_000_000_000);
        assert_eq!(Gcra::new(1, year, 1_000_000), None);
    }

    #[test]
    fn a_request_is_charged_to_all_limits_or_to_none() {
        let (wide, narrow) = (limit("wide", 100, 60 * SECOND), limit("narrow", 2, SECOND));
        let mut state = Memory::prepared();
        for _ in 0..2 {
            let verdict = charge_all(&mut state, Memory::SEED, &[for_all(&wide), for_all(&narrow)], START).unwrap();
            assert_eq!(verdict.refused, None);
        }
        for _ in 0..5 {
            let verdict = charge_all(&mut state, Memory::SEED, &[for_all(&wide), for_all(&narrow)], START).unwrap();
            assert_eq!(verdict.refused, Some(SECOND / 2));
            let left: Vec<u64> = verdict.reports.iter().map(|report| report.remaining).collect();
            assert_eq!(left, [98, 0]);
        }
        let verdict = charge_all(&mut state, Memory::SEED, &[for_all(&wide)], START).unwrap();
        assert_eq!(verdict.reports[0].remaining, 97);
    }

    #[test]
    fn the_wait_is_that_of_the_slowest_limit_that_refuses() {
        let (fast, slow) = (limit("fast", 1, SECOND), limit("slow", 1, 60 * SECOND));
        let mut state = Memory::prepared();
        charge_all(&mut state, Memory::SEED, &[for_all(&fast), for_all(&slow)], START).unwrap();
        let verdict = charge_all(&mut state, Memory::SEED, &[for_all(&fast), for_all(&slow)], START).unwrap();
        assert_eq!(verdict.refused, Some(60 * SECOND));
    }

    #[test]
    fn a_limit_that_has_room_adds_nothing_to_the_wait() {
        let (tight, roomy) = (limit("tight", 1, SECOND), limit("roomy", 10, 3_600 * SECOND));
        let mut state = Memory::prepared();
        charge_all(&mut state, Memory::SEED, &[for_all(&tight), for_all(&roomy)], START).unwrap();
        let verdict = charge_all(&mut state, Memory::SEED, &[for_all(&tight), for_all(&roomy)], START).unwrap();
        assert_eq!(verdict.refused, Some(SECOND));
        assert_eq!(verdict.reports[1].remaining, 9);
    }

    #[test]
    fn a_count_that_cannot_be_kept_gives_back_what_was_charged() {
        let (first, second) = (limit("first", 5, SECOND), limit("second", 5, SECOND));
        let mut state = Memory::prepared();
        state.broken_keys_after(1);
        let failed = charge_all(&mut state, Memory::SEED, &[for_all(&first), for_all(&second)], START);
        assert!(failed.is_err());
        state.mend();
        let verdict = charge_all(&mut state, Memory::SEED, &[for_all(&first)], START).unwrap();
        assert_eq!(verdict.reports[0].remaining, 4);
    }

    #[test]
    fn each_caller_has_a_count_of_its_own() {
        let once = limit("once", 1, SECOND);
        let mut state = Memory::prepared();
        let callers = [Caller::All, Caller::Consumer("a"), Caller::Consumer("b"), Caller::Address(b"a")];
        for expected in [None, Some(SECOND)] {
            for caller in callers {
                let charge = Charge { limit: &once, name: "once", caller };
                let verdict = charge_all(&mut state, Memory::SEED, &[charge], START).unwrap();
                assert_eq!(verdict.refused, expected, "{caller:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate_are_admitted(
            quota in 1u64..50,
            window in 1_000u64..10_000_000_000,
            burst in 1u64..60,
            steps in proptest::collection::vec(0u64..400_000_000, 1..300),
        ) {
            let gcra = Gcra::new(quota, window, burst).unwrap();
            let (mut tat, mut now, mut admitted) = (0, START, 0u128);
            for step in steps {
                now += step;
                if let Ok(next) = gcra.charge(tat, now) {
                    tat = next;
                    admitted += 1;
                }
                let most = u128::from(burst) + u128::from(now - START) * u128::from(quota) / u128::from(window);
                prop_assert!(admitted <= most, "{} of {}", admitted, most);
            }
        }

        #[test]
        fn a_refused_request_is_admitted_after_the_wait_it_was_told(quota in 1u64..50, window in 1_000u64..10_000_000_000, tat in 0u64..20_000_000_000) {
            let gcra = Gcra::new(quota, window, quota).unwrap();
            let tat = START + tat;
            if let Err(wait) = gcra.charge(tat, START) {
                let tat = gcra.at(tat, START);
                prop_assert!(gcra.charge(tat, START + wait - 1).is_err());
                prop_assert!(gcra.charge(tat, START + wait).is_ok());
            }
        }
    }
}
