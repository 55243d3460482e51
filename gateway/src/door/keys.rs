//! The keys that QUIC needs beside the certificate's. They are derived from the secret that all gateways share, so a gateway
//! accepts the retry tokens of another.

use std::fmt;

use ring::{
    hkdf::{HKDF_SHA256, Prk, Salt},
    hmac::{self, HMAC_SHA256},
    rand::{SecureRandom, SystemRandom},
};
use thiserror::Error;

/// A shorter secret can be guessed.
const SHORTEST: usize = 32;
/// Defaults that a troubleshooting guide has published.
const WELL_KNOWN: &[&str] = &["macula-gateway-cookie", "test-cookie"];

/// The secret of all gateways (RELEASE_COOKIE). It is printed nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

pub struct Keys {
    /// Signs the tokens by which clients prove their addresses; the same for all gateways with the secret.
    pub token: Prk,
    /// Signs stateless resets; each gateway has its own (RFC 9000, 21.11).
    pub reset: hmac::Key,
    /// Why the keys are random, if they are.
    pub random: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the system gives no random numbers")]
pub struct NoRandom;

impl Keys {
    /// Derives the keys from the secret, or makes random ones where there is no good secret. `node`: the gateway's name.
    ///
    /// # Errors
    /// The keys would have to be random, and the system has no random numbers.
    pub fn of(secret: Option<&Secret>, node: &str) -> Result<Self, NoRandom> {
        let random = match secret {
            None => Some("RELEASE_COOKIE is not set"),
            Some(Secret(text)) if WELL_KNOWN.contains(&text.as_str()) => {
                Some("RELEASE_COOKIE is a default that everybody knows")
            }
            Some(Secret(text)) if text.len() < SHORTEST => {
                Some("RELEASE_COOKIE is shorter than 32 bytes")
            }
            Some(_) => None,
        };
        let mut bytes = [0; SHORTEST];
        let material = match (secret, random) {
            (Some(Secret(text)), None) => text.as_bytes(),
            (_, Some(_)) | (None, None) => {
                SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
                &bytes
            }
        };
        let derived = |purpose: &[u8]| Salt::new(HKDF_SHA256, purpose).extract(material);
        let info = [node.as_bytes()];
        let reset = derived(b"macula-gateway stateless reset");
        let reset = reset.expand(&info, HMAC_SHA256).map_err(|_| NoRandom)?.into();
        Ok(Self { token: derived(b"macula-gateway retry token"), reset, random })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(secret: Option<&str>, node: &str) -> Vec<u8> {
        let keys = Keys::of(secret.map(|text| Secret(text.to_owned())).as_ref(), node).unwrap();
        hmac::sign(&keys.reset, b"id").as_ref().to_vec()
    }

    #[test]
    fn a_good_secret_makes_the_same_keys_again_but_for_another_gateway() {
        let secret = Some("0123456789abcdef0123456789abcdef");
        assert_eq!(signed(secret, "a"), signed(secret, "a"));
        assert_ne!(signed(secret, "a"), signed(secret, "b"));
    }

    #[test]
    fn a_secret_that_is_none_makes_random_keys_and_says_why() {
        for (secret, why) in [
            (None, "not set"),
            (Some("short"), "shorter than 32"),
            (Some("macula-gateway-cookie"), "everybody knows"),
        ] {
            assert_ne!(signed(secret, "a"), signed(secret, "a"));
            let keys = Keys::of(secret.map(|text| Secret(text.to_owned())).as_ref(), "a").unwrap();
            assert!(keys.random.unwrap().contains(why));
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert!(!format!("{:?}", Secret("hush".to_owned())).contains("hush"));
    }
}
