//! `mirror`: copies of requests for another cluster.

use serde::Serialize;

use crate::model::Share;

/// What the word means on a route. `None` where nothing is copied.
pub type Meaning = Option<Mirror>;

/// Where copies of requests go. The copies' answers are thrown away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mirror {
    /// The cluster's name, which exists.
    pub cluster: String,
    /// How many of the requests are copied.
    pub percent: Share,
}
