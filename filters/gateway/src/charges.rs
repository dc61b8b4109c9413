//! Which limits a request is charged to, whose counts they are, and how much it is charged.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use crate::authenticate::Identity;
use crate::compile::MAX_LIMIT;
use crate::decide::Outside;
use crate::limit::{Caller, Charge, charge_all};
use crate::pairs::{Pair, values};
use crate::ratelimit_fields::{Fields, fields};
use crate::reply::Refusal;
use crate::tables::{By, Cost, Limit, Policy, PolicyLimit, Tables, What};

/// What the limits said of a request that goes on.
#[derive(Debug, Default)]
pub(crate) struct Limited {
    /// What the client is told.
    pub(crate) fields: Fields,
    /// Whether a limit that only tries out would have refused it.
    pub(crate) dry_run_refused: bool,
}

/// Charges a request to the limits of its policy.
pub(crate) fn limit<'a>(
    policy: &'a Policy,
    tables: &Tables,
    identity: &Identity<'a>,
    headers: &[Pair<'a>],
    outside: &mut impl Outside,
) -> Result<Limited, Refusal<'a>> {
    let mut callers = Callers { identity, headers, outside, address: None };
    let mut charges = Vec::with_capacity(policy.limits.len());
    let mut dry_run_refused = false;
    for limit in &policy.limits {
        match callers.charges(limit, &mut charges) {
            // Without a charge: there is no saying how much it would be.
            Err(_) if limit.is_dry_run => dry_run_refused = true,
            other => other?,
        }
    }
    if charges.is_empty() {
        return Ok(Limited { fields: Fields::new(), dry_run_refused });
    }
    let Some(seed) = outside.seed() else {
        let is_enforced = charges.iter().any(|charge| !charge.is_dry_run);
        return if is_enforced { Err(Refusal::RateLimitUnavailable) } else { Ok(Limited::default()) };
    };
    let now = outside.now();
    let verdict = charge_all(outside, seed, &charges, now).map_err(|_| Refusal::RateLimitUnavailable)?;
    let fields = fields(tables.rate_limit_headers(), &verdict.reports);
    match verdict.refused {
        Some(wait) => Err(Refusal::RateLimited { wait, fields }),
        None => Ok(Limited { fields, dry_run_refused: verdict.dry_run_refused || dry_run_refused }),
    }
}

/// Whose counts a request may be charged to.
struct Callers<'b, 'a, O> {
    identity: &'b Identity<'a>,
    headers: &'b [Pair<'a>],
    outside: &'b mut O,
    /// Once it was asked for.
    address: Option<Vec<u8>>,
}

impl<'a, O: Outside> Callers<'_, 'a, O> {
    /// The charges of one limit of the policy. A caller without a plan has no limits of a plan.
    fn charges(&mut self, limit: &'a PolicyLimit, charges: &mut Vec<Charge<'a>>) -> Result<(), Refusal<'a>> {
        let is_dry_run = limit.is_dry_run;
        match &limit.what {
            What::Own { by, limit: own } => {
                let cost = self.cost(&limit.cost, own)?;
                charges.push(Charge { limit: own, name: &own.name, caller: self.by(by), cost, is_dry_run });
            }
            What::Plan { name, overrides } => {
                let Some(plan) = self.identity.plan else { return Ok(()) };
                let caller = self.by(&By::Consumer);
                for own in plan.limits_here(overrides) {
                    let name = name.as_ref().unwrap_or(&own.name);
                    let cost = self.cost(&limit.cost, own)?;
                    charges.push(Charge { limit: own, name, caller: caller.clone(), cost, is_dry_run });
                }
            }
        }
        Ok(())
    }

    /// Who lacks what is counted by is known by the address.
    fn by(&mut self, by: &'a By) -> Caller<'a> {
        let caller = match by {
            By::Route => Some(Caller::All),
            By::Consumer => self.identity.consumer.map(|consumer| Caller::Consumer(consumer.name)),
            By::Plan => match (self.identity.plan, self.identity.consumer) {
                (Some(plan), _) => Some(Caller::Plan(&plan.name)),
                (None, Some(_)) => Some(Caller::Plan("")),
                (None, None) => None,
            },
            By::Ip => None,
            By::Header(name) => {
                let mut values = values(self.headers, name);
                match (values.next(), values.next()) {
                    (None, _) => None,
                    (Some(only), None) => Some(Caller::Header(Cow::Borrowed(only))),
                    // Which of them counts would be anybody's choice, so all do.
                    (Some(first), Some(second)) => {
                        let all: Vec<&[u8]> = [first, second].into_iter().chain(values).collect();
                        Some(Caller::Header(all.join(&0).into()))
                    }
                }
            }
            By::Claim(path) => self.outside.claim(path).map(Caller::Claim),
        };
        caller.unwrap_or_else(|| Caller::Address(self.address()))
    }

    fn address(&mut self) -> Vec<u8> {
        let outside = &mut *self.outside;
        self.address.get_or_insert_with(|| address_of(&outside.source_address().unwrap_or_default())).clone()
    }

    fn cost(&self, cost: &'a Cost, limit: &Limit) -> Result<u64, Refusal<'a>> {
        let header = match cost {
            Cost::Fixed(cost) => return Ok(*cost),
            Cost::Header(header) => header,
        };
        let mut values = values(self.headers, header);
        let most = limit.algorithm.capacity().min(MAX_LIMIT);
        let number = |value: &[u8]| std::str::from_utf8(value).ok()?.parse().ok();
        match (values.next(), values.next()) {
            (None, _) => Ok(1),
            (Some(value), None) if value.iter().all(u8::is_ascii_digit) => {
                number(value).filter(|cost| (1..=most).contains(cost)).ok_or(Refusal::InvalidCost { header, most })
            }
            _ => Err(Refusal::InvalidCost { header, most }),
        }
    }
}

/// The form of an address by which it is counted: an IPv4 address whole, of an IPv6 address the first 64 bits, since a
/// client has all of the rest to itself. What is no IP address (a pipe's path) is taken as it is, without a port.
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
