//! A model as bytes: versioned, checksummed, and refused when anything about it is not as it was written.
//!
//! | bytes | meaning |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 4 | format version, little-endian |
//! | 4 | length of the header |
//! | 8 | length of the payload |
//! | header | JSON: recipe, feature specification, notes; a person can read it |
//! | payload | the fitted model in the postcard wire format; since format 2, trees as they lie in memory |
//! | 32 | SHA-256 of everything before |
//!
//! Format 1 is still read; `tests/golden` keeps files of it.

use forewatt_domain::Recipe;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::features::FeatureSpec;
use crate::learn::FittedModel;

/// The first bytes of every artifact; the last ones catch transfers that change line ends.
pub const MAGIC: [u8; 8] = *b"FWATT\r\n\x1a";
/// The format this program writes, and the newest it reads.
pub const FORMAT: u32 = 2;
/// No artifact is longer.
pub const BYTES_MAX: usize = 512 << 20;
/// No header is longer.
pub const HEADER_BYTES_MAX: usize = 4 << 20;

const FIXED_BYTES: usize = 24;
const CHECKSUM_BYTES: usize = 32;

/// A model with everything that is needed to use it.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact<S = FeatureSpec> {
    /// What was asked for.
    pub recipe: Recipe,
    /// How its features are made.
    pub spec: S,
    /// What was learned.
    pub model: FittedModel,
}

/// Why bytes are not a usable artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// The first bytes are not those of an artifact.
    #[error("this is not a Forewatt model file: its first bytes are others; check the path")]
    Foreign,
    /// Written by a newer program.
    #[error(
        "the model file has format {found}, this program reads up to {FORMAT}: update it, or train the model again"
    )]
    Newer {
        /// The format found.
        found: u32,
    },
    /// Bytes are missing at the end.
    #[error(
        "the model file is cut off: {found} of {expected} bytes are there; copy it again or train the model again"
    )]
    Truncated {
        /// Bytes there should be.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// Bytes changed.
    #[error(
        "the model file is corrupted: its checksum does not agree; copy it again or train the model again"
    )]
    Corrupted,
    /// Too large.
    #[error(
        "the model file would have {bytes} bytes, more than the {BYTES_MAX} allowed; choose fewer levels or features"
    )]
    TooLarge {
        /// How large.
        bytes: u64,
    },
    /// The checksum agrees but the content cannot be used.
    #[error("the model file cannot be used: {what}; train the model again")]
    Invalid {
        /// What is wrong.
        what: String,
    },
}

#[derive(Serialize)]
struct HeaderRef<'a, S> {
    recipe: &'a Recipe,
    spec: &'a S,
    notes: &'a [String],
}

#[derive(Deserialize)]
struct Header<S> {
    recipe: Recipe,
    spec: S,
}

/// Writes an artifact.
///
/// # Errors
/// [`ArtifactError::TooLarge`] past [`BYTES_MAX`], [`ArtifactError::Invalid`] when a part does not serialise.
pub fn encode<S: Serialize>(artifact: &Artifact<S>) -> Result<Vec<u8>, ArtifactError> {
    let invalid = |what: String| ArtifactError::Invalid { what };
    let header = HeaderRef { recipe: &artifact.recipe, spec: &artifact.spec, notes: artifact.model.notes() };
    let header = serde_json::to_vec(&header).map_err(|error| invalid(error.to_string()))?;
    let payload = postcard::to_allocvec(&artifact.model).map_err(|error| invalid(error.to_string()))?;
    let bytes = FIXED_BYTES + header.len() + payload.len() + CHECKSUM_BYTES;
    if bytes > BYTES_MAX || header.len() > HEADER_BYTES_MAX {
        return Err(ArtifactError::TooLarge { bytes: bytes as u64 });
    }
    Ok(seal(&header, &payload))
}

/// Reads an artifact; memory stays in proportion to `bytes`.
///
/// # Errors
/// [`ArtifactError`], one variant per thing that can be wrong.
pub fn decode<S: DeserializeOwned>(bytes: &[u8]) -> Result<Artifact<S>, ArtifactError> {
    let (header, payload) = open(bytes)?;
    let invalid = |what: String| ArtifactError::Invalid { what };
    let header: Header<S> = serde_json::from_slice(header)
        .map_err(|error| invalid(format!("its header is not as expected ({error})")))?;
    // Mixtures of whole days are laid out otherwise since format 2; what else format 1 holds is read as ever.
    let old = fixed(bytes, 8).map(u32::from_le_bytes) == Some(1);
    let stale = || invalid("its whole days are laid out as in format 1, which is no longer read".to_owned());
    let (model, rest): (FittedModel, &[u8]) = postcard::take_from_bytes(payload).map_err(|error| {
        let stale_days = old && header.recipe.family.prefers_whole_days();
        if stale_days { stale() } else { invalid(format!("its model is not as expected ({error})")) }
    })?;
    if old && model.answers_whole_days() {
        return Err(stale());
    }
    if !rest.is_empty() {
        return Err(invalid(format!("{} bytes follow the model", rest.len())));
    }
    if !model.is_sound() {
        return Err(invalid("parts of its model do not fit together".to_owned()));
    }
    Ok(Artifact { recipe: header.recipe, spec: header.spec, model })
}

fn seal(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FIXED_BYTES + header.len() + payload.len() + CHECKSUM_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(header);
    bytes.extend_from_slice(payload);
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum);
    bytes
}

/// Header and payload of bytes that are whole and unchanged.
fn open(bytes: &[u8]) -> Result<(&[u8], &[u8]), ArtifactError> {
    let found = bytes.len() as u64;
    let start = &bytes[..bytes.len().min(MAGIC.len())];
    if !MAGIC.starts_with(start) || start.is_empty() {
        return Err(ArtifactError::Foreign);
    }
    let least = (FIXED_BYTES + CHECKSUM_BYTES) as u64;
    let cut = ArtifactError::Truncated { expected: least, found };
    let format = u32::from_le_bytes(fixed(bytes, 8).ok_or(cut.clone())?);
    if format > FORMAT {
        return Err(ArtifactError::Newer { found: format });
    }
    let header = u64::from(u32::from_le_bytes(fixed(bytes, 12).ok_or(cut.clone())?));
    let payload = u64::from_le_bytes(fixed(bytes, 16).ok_or(cut)?);
    let expected = least.saturating_add(header).saturating_add(payload);
    if expected > BYTES_MAX as u64 || header > HEADER_BYTES_MAX as u64 || format == 0 {
        return Err(ArtifactError::Corrupted); // no artifact says that of itself
    }
    if found < expected {
        return Err(ArtifactError::Truncated { expected, found });
    }
    let (content, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
    if found > expected || Sha256::digest(content).as_slice() != checksum {
        return Err(ArtifactError::Corrupted);
    }
    Ok(content[FIXED_BYTES..].split_at(header as usize))
}

fn fixed<const N: usize>(bytes: &[u8], from: usize) -> Option<[u8; N]> {
    bytes.get(from..from + N)?.try_into().ok()
}

#[cfg(test)]
mod tests;
