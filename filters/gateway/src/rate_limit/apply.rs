//! Chooses the limits that a request is charged to, their counts, and the charge.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use super::charge::{Charge, Subject, charge_all};
use super::fields::{Fields, fields};
use super::{By, Cost, Limits, RateLimit, refusal};
use crate::caller::Caller;
use crate::config::RateLimitHeaders;
use crate::headers::{Pair, values};
use crate::outside::Outside;
use crate::plan::{Limit, MAX_LIMIT};
use crate::reply::Refusal;

/// The result of the limits for a request that goes on.
#[derive(Debug, Default)]
pub(crate) struct Limited {
    /// The response fields for the client.
    pub(crate) fields: Fields,
    /// Whether a dry-run limit would have refused it.
    pub(crate) dry_run_refused: bool,
}

/// Charges a request to the limits of its policy. `shown` chooses the response fields.
pub(crate) fn limit<'a>(
    rate_limits: &'a [RateLimit],
    shown: RateLimitHeaders,
    caller: &Caller<'a>,
    headers: &[Pair<'a>],
    outside: &mut impl Outside,
) -> Result<Limited, Refusal> {
    let mut request = Request { caller, headers, outside, address: None };
    let mut charges = Vec::with_capacity(rate_limits.len());
    let mut dry_run_refused = false;
    for rate_limit in rate_limits {
        match request.charges(rate_limit, &mut charges) {
            // Nothing is charged, since the cost is unknown.
            Err(_) if rate_limit.is_dry_run => dry_run_refused = true,
            other => other?,
        }
    }
    if charges.is_empty() {
        return Ok(Limited { fields: Fields::new(), dry_run_refused });
    }
    let Some(seed) = outside.seed() else {
        let is_enforced = charges.iter().any(|charge| !charge.is_dry_run);
        return if is_enforced { Err(refusal::unavailable()) } else { Ok(Limited::default()) };
    };
    let now = outside.now();
    let verdict = charge_all(outside, seed, &charges, now).map_err(|_| refusal::unavailable())?;
    let fields = fields(shown, &verdict.reports);
    match verdict.refused {
        Some(wait) => Err(refusal::limited(wait, fields)),
        None => Ok(Limited { fields, dry_run_refused: verdict.dry_run_refused || dry_run_refused }),
    }
}

/// The inputs of limits.
struct Request<'b, 'a, O> {
    caller: &'b Caller<'a>,
    headers: &'b [Pair<'a>],
    outside: &'b mut O,
    /// Set once something has asked for it.
    address: Option<Vec<u8>>,
}

impl<'a, O: Outside> Request<'_, 'a, O> {
    /// Adds the charges of one limit of the policy. A caller without a plan has no limits of a
    /// plan.
    fn charges(&mut self, rate_limit: &'a RateLimit, charges: &mut Vec<Charge<'a>>) -> Result<(), Refusal> {
        let is_dry_run = rate_limit.is_dry_run;
        match &rate_limit.limits {
            Limits::Own { by, limit } => {
                let cost = self.cost(&rate_limit.cost, limit)?;
                charges.push(Charge { limit, name: &limit.name, subject: self.subject(by), cost, is_dry_run });
            }
            Limits::OfPlan { name, overrides } => {
                let Some(plan) = self.caller.plan else { return Ok(()) };
                let subject = self.subject(&By::Consumer);
                for limit in plan.limits_here(overrides) {
                    let name = name.as_ref().unwrap_or(&limit.name);
                    let cost = self.cost(&rate_limit.cost, limit)?;
                    charges.push(Charge { limit, name, subject: subject.clone(), cost, is_dry_run });
                }
            }
        }
        Ok(())
    }

    /// Returns the subject of the count. A caller without the header or claim is counted by
    /// address.
    fn subject(&mut self, by: &'a By) -> Subject<'a> {
        let subject = match by {
            By::Route => Some(Subject::All),
            By::Consumer => self.caller.consumer.map(|consumer| Subject::Consumer(consumer.name)),
            By::Plan => match (self.caller.plan, self.caller.consumer) {
                (Some(plan), _) => Some(Subject::Plan(&plan.name)),
                (None, Some(_)) => Some(Subject::Plan("")),
                (None, None) => None,
            },
            By::Ip => None,
            By::Header(name) => {
                let mut values = values(self.headers, name);
                match (values.next(), values.next()) {
                    (None, _) => None,
                    (Some(only), None) => Some(Subject::Header(Cow::Borrowed(only))),
                    // Clients could choose which of them counts, so all do.
                    (Some(first), Some(second)) => {
                        let all: Vec<&[u8]> = [first, second].into_iter().chain(values).collect();
                        Some(Subject::Header(all.join(&0).into()))
                    }
                }
            }
            By::Claim(path) => self.outside.claim(path).map(Subject::Claim),
        };
        subject.unwrap_or_else(|| Subject::Address(self.address()))
    }

    fn address(&mut self) -> Vec<u8> {
        let outside = &mut *self.outside;
        self.address.get_or_insert_with(|| address_of(&outside.source_address().unwrap_or_default())).clone()
    }

    fn cost(&self, cost: &Cost, limit: &Limit) -> Result<u64, Refusal> {
        let header = match cost {
            Cost::Fixed(cost) => return Ok(*cost),
            Cost::Header(header) => header,
        };
        let mut values = values(self.headers, header);
        let most = limit.algorithm.capacity().min(MAX_LIMIT);
        let number = |value: &[u8]| std::str::from_utf8(value).ok()?.parse().ok();
        match (values.next(), values.next()) {
            (None, _) => Ok(1),
            (Some(value), None) if value.iter().all(u8::is_ascii_digit) => number(value)
                .filter(|cost| (1..=most).contains(cost))
                .ok_or_else(|| refusal::invalid_cost(header, most)),
            _ => Err(refusal::invalid_cost(header, most)),
        }
    }
}

/// Returns the form of an address for counting: a whole IPv4 address, or the first 64 bits of an
/// IPv6 address, since a client owns all of the rest. Anything else (a pipe's path) stays as it is,
/// without a port.
#[must_use]
pub fn address_of(source: &[u8]) -> Vec<u8> {
    let parsed = std::str::from_utf8(source).ok().and_then(|text| text.parse::<SocketAddr>().ok());
    match parsed.map(|address| address.ip().to_canonical()) {
        Some(IpAddr::V4(address)) => address.octets().to_vec(),
        Some(IpAddr::V6(address)) => address.octets().into_iter().take(8).collect(),
        None => {
            let port = source.iter().rposition(|&byte| byte == b':');
            port.and_then(|port| source.get(..port)).unwrap_or(source).to_vec()
        }
    }
}
