//! The form of header lists between Envoy and the filter, in both directions: a count, the lengths
//! of each name and value, then the bytes of each with a zero at the end. Numbers have 32 bits,
//! little-endian.

use crate::headers::Pair;

/// Reads a header list. `None` if the lengths do not fit the bytes.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Vec<Pair<'_>>> {
    // For an empty list Envoy returns no bytes at all.
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let (count, rest) = bytes.split_first_chunk::<4>()?;
    let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    // Checks the count against the bytes before allocating anything.
    let (lengths, mut rest) = rest.split_at_checked(count.checked_mul(8)?)?;
    let mut pairs = Vec::with_capacity(count);
    for length in lengths.as_chunks::<8>().0 {
        let [n0, n1, n2, n3, v0, v1, v2, v3] = *length;
        let (name, after) = take(rest, u32::from_le_bytes([n0, n1, n2, n3]))?;
        let (value, after) = take(after, u32::from_le_bytes([v0, v1, v2, v3]))?;
        rest = after;
        pairs.push((name, value));
    }
    Some(pairs)
}

/// Returns the first `length` bytes, and the rest after the zero behind them.
fn take(bytes: &[u8], length: u32) -> Option<(&[u8], &[u8])> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    let (_zero, rest) = rest.split_first()?;
    Some((taken, rest))
}

/// Writes a header list.
#[must_use]
pub fn encode(pairs: &[(&str, &str)]) -> Vec<u8> {
    let length = |bytes: &str| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = Vec::new();
    out.extend(u32::try_from(pairs.len()).unwrap_or(u32::MAX).to_le_bytes());
    for (name, value) in pairs {
        out.extend(length(name));
        out.extend(length(value));
    }
    for (name, value) in pairs {
        out.extend(name.as_bytes());
        out.push(0);
        out.extend(value.as_bytes());
        out.push(0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_list_has_no_bytes_or_a_count_of_zero() {
        assert_eq!(decode(b""), Some(vec![]));
        assert_eq!(decode(&[0, 0, 0, 0]), Some(vec![]));
    }

    #[test]
    fn lengths_beyond_the_bytes_are_refused() {
        let good = encode(&[("a", "b"), ("cc", "")]);
        assert!(decode(&good).is_some());
        for cut in 1..good.len() {
            assert_eq!(decode(&good[..cut]), None, "cut at {cut}");
        }
        assert_eq!(decode(&[255; 64]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn what_was_written_is_read(pairs in proptest::collection::vec((".{0,20}", ".{0,20}"), 0..20)) {
            let borrowed: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let bytes = encode(&borrowed);
            let expected: Vec<Pair> = pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
            prop_assert_eq!(decode(&bytes), Some(expected));
        }
    }
}
