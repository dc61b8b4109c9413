//! Shares of a whole.

use serde::Serialize;

/// A share, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Share(u32);

impl Share {
    /// Everything.
    pub const ALL: Self = Self(1_000_000);

    /// So many millionths. `None` above one million.
    pub fn of_millionths(millionths: u32) -> Option<Self> {
        (millionths <= Self::ALL.0).then_some(Self(millionths))
    }

    /// How many millionths it is.
    pub fn millionths(self) -> u32 {
        self.0
    }
}
