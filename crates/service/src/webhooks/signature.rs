//! Signatures of webhooks: HMAC-SHA256 (RFC 2104) over `timestamp.body`, in `Forewatt-Signature: t=SECONDS,v1=HEX`.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{Error, Result};

/// The header that carries it.
pub const HEADER: &str = "forewatt-signature";
/// How far the timestamp may be from the receiver's clock, in seconds; older ones are replays.
pub const WINDOW_SECONDS: i64 = 300;
/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Why a signature is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// The header has another form.
    #[error("the signature is not of the form t=SECONDS,v1=HEX")]
    Form,
    /// The timestamp lies too far from now.
    #[error("the signature is older or newer than 300 s: a replay, or a clock that is wrong")]
    Time,
    /// Somebody else signed, or something else was signed.
    #[error("the signature is not of this body and secret")]
    Mismatch,
}

/// A new secret: 256 random bits of the system as text.
///
/// # Errors
/// `Internal` when the system has no randomness to give.
pub fn new_secret() -> Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(format!("drawing a secret: {error}")))?;
    Ok(format!("whsec_{}", hex(&bytes)))
}

/// The header's value for a body sent at an instant; the key is the secret's text, as the receiver was given it.
#[must_use]
pub fn sign(secret: &str, seconds: i64, body: &[u8]) -> String {
    format!("t={seconds},v1={}", hex(&mac(secret, seconds, body).finalize().into_bytes()))
}

/// What a receiver does with the header.
///
/// # Errors
/// [`Distrust`].
pub fn verify(
    secret: &str,
    header: &str,
    body: &[u8],
    now_seconds: i64,
) -> std::result::Result<(), Distrust> {
    let (mut time, mut given) = (None, None);
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", seconds)) => time = seconds.parse::<i64>().ok(),
            Some(("v1", hex)) => given = unhex(hex),
            _ => {}
        }
    }
    let (Some(time), Some(given)) = (time, given) else { return Err(Distrust::Form) };
    // In constant time, and before the clock is looked at: nothing is learned from the order of refusals.
    mac(secret, time, body).verify_slice(&given).map_err(|_| Distrust::Mismatch)?;
    if now_seconds.saturating_sub(time).saturating_abs() > WINDOW_SECONDS {
        Err(Distrust::Time)
    } else {
        Ok(())
    }
}

fn mac(secret: &str, seconds: i64, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .expect("HMAC takes keys of every length (RFC 2104 section 2)");
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing into a String cannot fail
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with OpenSSL: `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_test`.
    const KNOWN: &str = "t=1700000000,v1=38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789";

    #[test]
    fn it_is_what_openssl_computes() {
        assert_eq!(sign("whsec_test", 1_700_000_000, br#"{"a":1}"#), KNOWN);
    }

    #[test]
    fn only_the_same_body_secret_and_time_are_believed() {
        let (now, body) = (1_700_000_000, br#"{"a":1}"#);
        let check = |secret, header: &str, body: &[u8], now| verify(secret, header, body, now);
        assert_eq!(check("whsec_test", KNOWN, body, now), Ok(()));
        assert_eq!(check("whsec_test", KNOWN, body, now + WINDOW_SECONDS), Ok(()));
        assert_eq!(
            check("whsec_test", KNOWN, body, now + WINDOW_SECONDS + 1),
            Err(Distrust::Time),
            "a replay"
        );
        assert_eq!(check("whsec_test", KNOWN, body, now - WINDOW_SECONDS - 1), Err(Distrust::Time));
        assert_eq!(check("whsec_other", KNOWN, body, now), Err(Distrust::Mismatch));
        assert_eq!(check("whsec_test", KNOWN, br#"{"a":2}"#, now), Err(Distrust::Mismatch));
        let moved = KNOWN.replace("1700000000", "1700000100");
        assert_eq!(check("whsec_test", &moved, body, now), Err(Distrust::Mismatch), "a time of one's own");
        for form in ["", "t=1", "v1=00", "t=x,v1=00", "t=1,v1=0", "t=1,v1=zz"] {
            assert_eq!(check("whsec_test", form, body, now), Err(Distrust::Form), "{form}");
        }
    }

    #[test]
    fn secrets_differ_and_are_long() {
        let (a, b) = (new_secret().unwrap(), new_secret().unwrap());
        assert!(a != b && a.len() == 6 + 2 * SECRET_BYTES && a.starts_with("whsec_"), "{a}");
    }
}
