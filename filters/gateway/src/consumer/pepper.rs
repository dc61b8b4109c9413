//! Digests of keys with a pepper. Without the pepper, nobody can try keys against the digests.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Digest;

/// The shortest pepper, in bytes. Nobody can guess one of this length.
const LEAST: usize = 16;

/// HMAC-SHA-256 (RFC 2104) under a pepper, which it does not show.
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl Pepper {
    /// Makes a pepper of a secret.
    ///
    /// # Errors
    /// The problem of the secret.
    pub fn new(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < LEAST {
            return Err(format!("a pepper has at least {LEAST} bytes; `openssl rand -base64 32` makes one"));
        }
        Hmac::new_from_slice(secret).map(Self).map_err(|error| error.to_string())
    }

    /// Returns the digest of a key.
    #[must_use]
    pub fn digest(&self, key: &[u8]) -> Digest {
        self.0.clone().chain_update(key).finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_known_one() {
        // RFC 4231, section 4.3, whose key is longer in section 4.7; this one is of that section.
        let pepper = Pepper::new(&[0xaa; 131]).unwrap();
        let digest = pepper.digest(b"Test Using Larger Than Block-Size Key - Hash Key First");
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn a_pepper_is_long_and_never_shown() {
        assert!(Pepper::new(&[7; 15]).is_err());
        let pepper = Pepper::new(b"sixteen bytes ok").unwrap();
        assert_eq!(format!("{pepper:?}"), "<redacted>");
    }
}
