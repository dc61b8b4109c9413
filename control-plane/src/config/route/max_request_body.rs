//! `max_request_body`: the largest body of a request.

use super::{Route, Rules};
use crate::{
    config::{decode::Said, file::Known, leaf::Size, report::Report},
    model::route::max_request_body::Meaning,
};

super::shape! {
    /// The largest body of a request. A larger one is refused with 413. Without it, the listener's
    /// `limits.request_body` counts.
    Size
}

impl Rules for Feature {
    type Meaning = Meaning;

    /// What it means.
    fn resolve(route: &Said<Route>, _: &Known<'_>, _: &mut Report) -> Option<Meaning> {
        route.features.max_request_body.resolve(|size| Some(size.0))
    }
}
