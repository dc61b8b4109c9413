//! The keys of `legation key new`: `lg_<id>_<secret>`. The secret ends in a checksum of everything
//! before it.
//!
//! The prefix identifies a key for people and for scanners of leaked secrets. The id names the key
//! in the file and in logs. The checksum distinguishes a mistyped or shortened key from an unknown
//! one. It protects nothing: anybody can compute it.

use sha2::{Digest as _, Sha256};

/// The prefix of every such key.
pub const PREFIX: &str = "lg_";

/// The characters of ids and secrets: letters and digits, which need no escaping anywhere.
pub const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The number of characters of the checksum: enough for 32 bits.
const CHECKSUM: usize = 6;

/// Returns a key with this id and this secret, and adds the checksum.
#[must_use]
pub fn key(id: &str, secret: &str) -> String {
    let text = format!("{PREFIX}{id}_{secret}");
    let checksum = checksum(text.as_bytes()).map(char::from);
    text.chars().chain(checksum).collect()
}

/// Returns whether this was meant as such a key but is not one. Keys of other forms never count as
/// such.
#[must_use]
pub fn is_mistyped(key: &[u8]) -> bool {
    let Some(rest) = key.strip_prefix(PREFIX.as_bytes()) else { return false };
    let mut parts = rest.splitn(2, |&byte| byte == b'_');
    let (Some(id), Some(secret)) = (parts.next(), parts.next()) else { return true };
    let is_word = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_alphanumeric);
    let Some((text, found)) = key.split_last_chunk::<CHECKSUM>() else { return true };
    !is_word(id) || !is_word(secret) || secret.len() <= CHECKSUM || *found != checksum(text)
}

/// Returns the first 32 bits of the text's SHA-256, in base 62.
fn checksum(text: &[u8]) -> [u8; CHECKSUM] {
    let digest = Sha256::digest(text);
    let mut rest = digest.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    [(); CHECKSUM].map(|()| {
        let digit = usize::try_from(rest % 62).unwrap_or_default();
        rest /= 62;
        ALPHABET.get(digit).copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_made_is_whole_and_stays_the_same() {
        let key = key("k1", "secret");
        assert!(!is_mistyped(key.as_bytes()));
        // Keys that exist must stay valid.
        assert_eq!(key, "lg_k1_secretp2L8PE");
    }

    #[test]
    fn what_begins_so_and_is_no_key_is_mistyped_and_other_keys_are_not() {
        for mistyped in
            ["lg_", "lg_k1", "lg_k1_", "lg_k1_secret", "lg_k1_secretAAAAAA", "lg__secretp2L8PE", "lg_k1_se cretp2L8PE"]
        {
            assert!(is_mistyped(mistyped.as_bytes()), "{mistyped}");
        }
        for other in ["", "lg", "alice-key", "LG_k1_secret", "sk_lg_k1"] {
            assert!(!is_mistyped(other.as_bytes()), "{other}");
        }
    }

    proptest! {
        #[test]
        fn one_wrong_character_is_found(at in 0_usize..100, with in 0_usize..62, id in "[a-z0-9]{1,8}", secret in "[A-Za-z0-9]{8,32}") {
            let good = key(&id, &secret);
            prop_assert!(!is_mistyped(good.as_bytes()));
            let mut bad = good.clone().into_bytes();
            let at = PREFIX.len() + at % (bad.len() - PREFIX.len());
            bad[at] = ALPHABET[with];
            // Two checksums of 32 bits are equal once in four billion times.
            prop_assert_eq!(is_mistyped(&bad), bad != good.as_bytes());
            prop_assert!(is_mistyped(&good.as_bytes()[..good.len() - 1]));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = is_mistyped(&bytes);
            let _ = is_mistyped(&[PREFIX.as_bytes(), &bytes].concat());
        }
    }
}
