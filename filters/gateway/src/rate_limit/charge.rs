//! Charges a request to all of its limits or to none. [`crate::plan::algorithm`] has the
//! algorithms, [`super::counts`] the storage of counts.

use std::borrow::Cow;

use super::counts::{Counted, Key, Table};
use crate::outside::{CountError, Seed, SharedState};
use crate::plan::Limit;
use crate::plan::algorithm::Standing;

/// One limit as it applies to one request.
#[derive(Debug)]
pub struct Charge<'a> {
    /// The limit.
    pub limit: &'a Limit,
    /// Its name in `RateLimit`.
    pub name: &'a str,
    /// The subject of its count.
    pub subject: Subject<'a>,
    /// How much it is charged, 1 or more.
    pub cost: u64,
    /// Whether it is a dry run: it counts separately and refuses nothing.
    pub is_dry_run: bool,
}

/// The callers whose requests count together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// All requests.
    All,
    /// Those of the consumer of this name.
    Consumer(&'a str),
    /// Consumers with the plan of this name. An empty name means consumers without a plan.
    Plan(&'a str),
    /// Those from this address, in the form of [`super::address_of`].
    Address(Vec<u8>),
    /// Those with this value in the header.
    Header(Cow<'a, [u8]>),
    /// Those whose token has this value as the claim.
    Claim(Vec<u8>),
}

impl Subject<'_> {
    /// Returns the table of its counts, the mark of its kind, and the mark of the subject within
    /// its kind.
    fn place(&self) -> (Table, u8, &[u8]) {
        match self {
            Self::All => (Table::Whole, 0, b""),
            Self::Consumer(name) => (Table::Known, 1, name.as_bytes()),
            Self::Plan(name) => (Table::Known, 2, name.as_bytes()),
            Self::Address(address) => (Table::Anyone, 3, address),
            Self::Header(value) => (Table::Anyone, 4, value),
            Self::Claim(value) => (Table::Claimed, 5, value),
        }
    }
}

/// The result of a request's limits.
#[derive(Debug)]
pub struct Verdict<'a> {
    /// The state of each limit after the request, in order, without dry runs.
    pub reports: Vec<Report<'a>>,
    /// If the request is refused: the nanoseconds until all limits would admit one.
    pub refused: Option<u64>,
    /// Whether a dry-run limit would have refused it.
    pub dry_run_refused: bool,
}

/// The state of a limit.
#[derive(Debug)]
pub struct Report<'a> {
    /// Its name in `RateLimit`.
    pub name: &'a str,
    /// The limit.
    pub limit: &'a Limit,
    /// What is left of the limit.
    pub standing: Standing,
}

/// Charges a request to all of the limits, or to none if one refuses.
///
/// Limits are charged one after another. If a later one refuses, what was charged is given back.
/// For those microseconds another worker may see one request too many in an earlier limit, never
/// one too few. Limits that only try out come last, so that a refused request is not charged to
/// them.
///
/// # Errors
/// [`CountError`] where a count cannot be kept. Everything that can be given back is given back
/// then.
pub fn charge_all<'a>(
    state: &mut impl SharedState,
    seed: Seed,
    charges: &[Charge<'a>],
    now: u64,
) -> Result<Verdict<'a>, CountError> {
    let mut counted = Vec::with_capacity(charges.len());
    let mut refused = None;
    for charge in charges.iter().filter(|charge| !charge.is_dry_run) {
        // After one has refused, the others are only asked how they stand.
        match count(state, seed, charge, now, refused.is_some()) {
            Ok(one) => {
                if one.wait.is_some() && refused.is_none() {
                    give_back(state, &mut counted, now);
                }
                refused = refused.max(one.wait);
                counted.push((charge, one));
            }
            Err(error) => {
                if refused.is_none() {
                    give_back(state, &mut counted, now);
                }
                return Err(error);
            }
        }
    }
    let mut dry_run_refused = false;
    for charge in charges.iter().filter(|charge| charge.is_dry_run && refused.is_none()) {
        // A limit that only tries out refuses nothing, not even where it cannot be counted.
        dry_run_refused |= count(state, seed, charge, now, false).is_ok_and(|one| one.wait.is_some());
    }
    let report = |(charge, counted): (&Charge<'a>, Counted)| Report {
        name: charge.name,
        limit: charge.limit,
        standing: charge.limit.algorithm.standing(counted.count, now),
    };
    Ok(Verdict { reports: counted.into_iter().map(report).collect(), refused, dry_run_refused })
}

fn count(
    state: &mut impl SharedState,
    seed: Seed,
    charge: &Charge<'_>,
    now: u64,
    only_look: bool,
) -> Result<Counted, CountError> {
    let key = key(seed, charge);
    let algorithm = charge.limit.algorithm;
    if only_look {
        key.look(state, algorithm, now, charge.cost)
    } else {
        key.charge(state, algorithm, now, charge.cost)
    }
}

fn give_back(state: &mut impl SharedState, counted: &mut [(&Charge<'_>, Counted)], now: u64) {
    for (charge, counted) in counted {
        let algorithm = charge.limit.algorithm;
        // If this fails, the limit stays too strict by this request until the count is over.
        let _ = counted.key.give_back(state, algorithm, now, charge.cost);
        counted.count = algorithm.give_back(counted.count, now, charge.cost);
    }
}

fn key(seed: Seed, charge: &Charge<'_>) -> Key {
    let id = charge.limit.id.as_bytes();
    // A limit that only tries out a plan's limit must not use up the plan.
    let tried = if charge.is_dry_run { 0x80 } else { 0 };
    let whole = seed.fingerprint(id, tried, b"");
    match charge.subject.place() {
        (table, 0, _) => Key { table, own: whole, whole },
        (table, kind, subject) => Key { table, own: seed.fingerprint(id, kind | tried, subject), whole },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::algorithm::{Algorithm, TokenBucket};
    use crate::rate_limit::counts::tests::Memory;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1_800_000_000 * SECOND;

    fn limit(id: &str, quota: u64, window: u64) -> Limit {
        Limit {
            name: id.to_owned(),
            id: id.to_owned(),
            quota,
            window_seconds: None,
            algorithm: Algorithm::TokenBucket(TokenBucket::new(quota, window, quota).unwrap()),
        }
    }

    fn for_all(limit: &Limit) -> Charge<'_> {
        Charge { limit, name: &limit.name, subject: Subject::All, cost: 1, is_dry_run: false }
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
            let left: Vec<u64> = verdict.reports.iter().map(|report| report.standing.remaining).collect();
            assert_eq!(left, [98, 0]);
        }
        let verdict = charge_all(&mut state, Memory::SEED, &[for_all(&wide)], START).unwrap();
        assert_eq!(verdict.reports[0].standing.remaining, 97);
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
        assert_eq!(verdict.reports[1].standing.remaining, 9);
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
        assert_eq!(verdict.reports[0].standing.remaining, 4);
    }

    #[test]
    fn each_subject_has_a_count_of_its_own() {
        let once = limit("once", 1, SECOND);
        let mut state = Memory::prepared();
        let subjects = [
            Subject::All,
            Subject::Consumer("a"),
            Subject::Consumer("b"),
            Subject::Plan("a"),
            Subject::Address(b"a".to_vec()),
            Subject::Header(b"a"[..].into()),
            Subject::Claim(b"a".to_vec()),
        ];
        for expected in [None, Some(SECOND)] {
            for subject in &subjects {
                let charge = Charge { subject: subject.clone(), ..for_all(&once) };
                let verdict = charge_all(&mut state, Memory::SEED, &[charge], START).unwrap();
                assert_eq!(verdict.refused, expected, "{subject:?}");
            }
        }
    }

    #[test]
    fn a_request_may_cost_more_than_one() {
        let limit = limit("ten", 10, 60 * SECOND);
        let mut state = Memory::prepared();
        let mut charge = |cost| {
            let charge = Charge { cost, ..for_all(&limit) };
            let verdict = charge_all(&mut state, Memory::SEED, &[charge], START).unwrap();
            (verdict.refused, verdict.reports[0].standing.remaining)
        };
        assert_eq!(charge(7), (None, 3));
        assert_eq!(charge(4), (Some(6 * SECOND), 3));
        assert_eq!(charge(3), (None, 0));
    }

    #[test]
    fn a_limit_that_only_tries_out_counts_and_says_what_it_would_refuse() {
        let (tried, real) = (limit("tried", 1, SECOND), limit("real", 2, SECOND));
        let mut state = Memory::prepared();
        let mut send = || {
            let charges = [Charge { is_dry_run: true, ..for_all(&tried) }, for_all(&real)];
            let verdict = charge_all(&mut state, Memory::SEED, &charges, START).unwrap();
            assert_eq!(verdict.reports.len(), 1, "what is not enforced is not told");
            (verdict.refused.is_some(), verdict.dry_run_refused)
        };
        assert_eq!([send(), send(), send()], [(false, false), (false, true), (true, false)]);
        let again = [Charge { is_dry_run: true, ..for_all(&tried) }];
        let verdict = charge_all(&mut state, Memory::SEED, &again, START + SECOND).unwrap();
        assert!(!verdict.dry_run_refused, "what a real limit refused was not charged");
        let verdict = charge_all(&mut state, Memory::SEED, &[for_all(&tried)], START).unwrap();
        assert_eq!(verdict.refused, None, "what was only tried out is counted apart");
        state.broken_keys_after(0);
        let other = limit("other", 1, SECOND);
        let verdict = charge_all(&mut state, Memory::SEED, &[Charge { is_dry_run: true, ..for_all(&other) }], START);
        assert!(verdict.is_ok_and(|verdict| verdict.refused.is_none()), "one that cannot be counted refuses nothing");
    }
}
