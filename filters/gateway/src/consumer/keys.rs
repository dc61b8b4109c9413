//! The keys of consumers, with a look-up by digest.

/// A SHA-256 digest, or an HMAC by it.
pub type Digest = [u8; 32];

/// A key of a consumer.
#[derive(Debug)]
pub struct Key {
    /// HMAC-SHA-256 of the key with the pepper, or SHA-256.
    pub digest: Digest,
    /// Seconds since 1970 from which it is valid.
    pub not_before: Option<i64>,
    /// Seconds since 1970 from which it is no longer valid.
    pub expires: Option<i64>,
    /// Its consumer: a place in the list of consumers.
    pub(crate) consumer: usize,
}

/// All keys.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    keys: Vec<Key>,
    /// The first bytes of each key's digest, and the key's place. These are sorted and the keys are
    /// not, since moving the keys takes longer than everything else.
    order: Vec<(u64, usize)>,
}

impl Keys {
    pub(crate) fn new(keys: Vec<Key>) -> Self {
        let mut order: Vec<_> = keys.iter().enumerate().map(|(place, key)| (first_bytes(&key.digest), place)).collect();
        order.sort_unstable();
        Self { keys, order }
    }

    /// Returns whether some digests begin alike. If none do, no key appears twice.
    pub(crate) fn may_repeat(&self) -> bool {
        !self.order.is_sorted_by(|(one, _), (other, _)| one < other)
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<&Key> {
        let first = first_bytes(digest);
        let place = self.order.partition_point(|(other, _)| *other < first);
        let alike = self.order.iter().skip(place).take_while(|(other, _)| *other == first);
        alike.filter_map(|(_, place)| self.keys.get(*place)).find(|key| key.digest == *digest)
    }
}

fn first_bytes(digest: &Digest) -> u64 {
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_whose_digests_begin_alike_are_told_apart() {
        let digest = |last: u8| {
            let mut digest = [7; 32];
            digest[31] = last;
            digest
        };
        let key = |last| Key { digest: digest(last), not_before: None, expires: None, consumer: last.into() };
        let keys = Keys::new([3, 1, 2].map(key).into());
        assert!(keys.may_repeat());
        for last in 0..5 {
            let found = keys.get(&digest(last)).map(|key| key.consumer);
            assert_eq!(found, (1..=3).contains(&last).then_some(last.into()));
        }
        assert!(keys.get(&[0; 32]).is_none() && keys.get(&[8; 32]).is_none());
        assert!(!Keys::new(vec![key(1)]).may_repeat());
    }
}
