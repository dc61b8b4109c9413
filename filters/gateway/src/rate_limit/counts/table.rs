//! The tables of counts, and the keys of their sets.

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Counts of limits as a whole. The configuration decides how many.
    Whole,
    /// Counts of consumers and plans. The configuration decides how many; there may be very many.
    Known,
    /// Counts of claims. The signer of tokens decides how many.
    Claimed,
    /// Counts of addresses and headers. Anybody can decide how many.
    Anyone,
}

const KEY_BYTES: usize = 17;

impl Table {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Whole, Self::Known, Self::Claimed, Self::Anyone];

    /// How many sets it has.
    #[must_use]
    pub fn sets(self) -> u16 {
        match self {
            Self::Known => 16_384,
            Self::Whole | Self::Claimed | Self::Anyone => 4_096,
        }
    }

    /// `legation/2/k/0fff`: the version of the format, the table, the set.
    pub(super) fn key(self, set: u16) -> [u8; KEY_BYTES] {
        let mut key = match self {
            Self::Whole => *b"legation/2/w/0000",
            Self::Known => *b"legation/2/k/0000",
            Self::Claimed => *b"legation/2/c/0000",
            Self::Anyone => *b"legation/2/a/0000",
        };
        let digit = |shift: u16| b"0123456789abcdef".get(usize::from((set >> shift) & 15)).copied().unwrap_or_default();
        if let Some(last) = key.last_chunk_mut::<4>() {
            *last = [digit(12), digit(8), digit(4), digit(0)];
        }
        key
    }
}
