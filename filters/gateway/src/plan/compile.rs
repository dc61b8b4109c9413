//! The rules of `plans`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::algorithm::{Algorithm, Period, Quota};
use super::limit::{count, counted, limits};
use super::{Limit, Plan};
use crate::config;
use crate::names::{self, Names};
use crate::problem::{At, Problems};

/// The plans of a document by their names.
pub(crate) fn plans(written: &[config::Plan], problems: &mut Problems) -> BTreeMap<String, Arc<Plan>> {
    let list = At::Whole.field("plans");
    Names::new(names::PLAN, &list, written.iter().map(|plan| plan.name.as_str()), problems);
    let mut plans = BTreeMap::new();
    for (place, written) in written.iter().enumerate() {
        let at = list.item(place);
        let config::Plan { name, .. } = written;
        let id = format!("plan {}", counted(name));
        let limits = limits(&at.field("limits"), name, &id, &written.limits, problems);
        let quota = written.quota.as_ref().and_then(|written| quota(&at.field("quota"), name, &id, written, problems));
        plans.insert(name.clone(), Arc::new(Plan { name: name.clone(), limits, quota }));
    }
    plans
}

fn quota(at: &At<'_>, name: &str, id: &str, written: &config::Quota, problems: &mut Problems) -> Option<Limit> {
    let limit = count(at, "limit", written.limit, problems)?;
    let (period, kind, window_seconds) = match written.window {
        config::Period::Day => (Period::Day, "day", Some(86_400)),
        // A month has no length.
        config::Period::Month => (Period::Month, "month", None),
    };
    let algorithm = Algorithm::Quota(Quota::new(limit, period)?);
    Some(Limit { name: name.to_owned(), id: format!("{id} {kind}"), quota: limit, window_seconds, algorithm })
}
