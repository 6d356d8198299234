//! What an artifact survives and what it refuses.

use std::sync::OnceLock;

use super::*;
use crate::learn::learn;
use crate::matrix::FeatureMatrix;
use crate::predict::Predict;
use crate::synthetic::{self, Shape};
use forewatt_domain::{Choice, Family, Horizon, QuantileLevels, Resolution};
use proptest::prelude::*;

type Spec = Vec<u32>;

fn features() -> &'static FeatureMatrix {
    static FEATURES: OnceLock<FeatureMatrix> = OnceLock::new();
    FEATURES.get_or_init(|| synthetic::training(Shape { days: 70, ..Shape::default() }).features)
}

/// A small model that has every part: members of each family, weights, calibration.
fn artifact() -> &'static Artifact<Spec> {
    static ARTIFACT: OnceLock<Artifact<Spec>> = OnceLock::new();
    ARTIFACT.get_or_init(|| {
        let recipe = Recipe {
            target: "load".parse().unwrap(),
            family: Family::Ensemble,
            covariates: vec![],
            resolution: Resolution::HOUR,
            horizon: Horizon::from_steps(24, Resolution::HOUR).unwrap(),
            levels: QuantileLevels::parse("0.1,0.5,0.9").unwrap(),
            origin_every_steps: 24,
            daily: false,
            any_hour: false,
            training_days: None,
            non_negative: false,
            choice: Choice::default(),
            seed: 7,
        };
        let data = synthetic::training(Shape { days: 70, ..Shape::default() });
        let model = learn(&recipe, &data).unwrap();
        Artifact { recipe, spec: vec![1, 2, 3], model }
    })
}

fn bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| encode(artifact()).unwrap())
}

fn read(bytes: &[u8]) -> Result<Artifact<Spec>, ArtifactError> {
    decode(bytes)
}

#[test]
fn what_is_written_is_read() {
    let back = read(bytes()).unwrap();
    assert_eq!(back.recipe, artifact().recipe);
    assert_eq!(back.spec, artifact().spec);
    let (before, after) = (artifact().model.predict(features()), back.model.predict(features()));
    assert_eq!(before.unwrap(), after.unwrap());
    assert_eq!(encode(&back).unwrap(), bytes(), "reading and writing again gives the same bytes");
}

#[test]
fn each_defect_has_its_error() {
    let whole = bytes();
    assert_eq!(read(b"PK\x03\x04 a zip file").unwrap_err(), ArtifactError::Foreign);
    assert_eq!(read(b"").unwrap_err(), ArtifactError::Foreign);
    for length in [1, 8, 11, 15, 23, 24, 55, whole.len() / 2, whole.len() - 1] {
        assert!(matches!(read(&whole[..length]), Err(ArtifactError::Truncated { .. })), "{length} bytes");
    }
    let mut newer = whole.to_vec();
    newer[8] = 3;
    assert_eq!(read(&newer).unwrap_err(), ArtifactError::Newer { found: 3 });
    for at in [24, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.to_vec();
        changed[at] ^= 1;
        assert_eq!(read(&changed).unwrap_err(), ArtifactError::Corrupted, "byte {at}");
    }
    let mut longer = whole.to_vec();
    longer.push(0);
    assert_eq!(read(&longer).unwrap_err(), ArtifactError::Corrupted);
    let (_, payload) = open(whole).unwrap();
    let other = seal(b"{}", payload);
    assert!(matches!(read(&other), Err(ArtifactError::Invalid { .. })));
}

#[test]
fn the_messages_say_how_to_mend() {
    assert!(ArtifactError::Newer { found: 9 }.to_string().contains("format 9, this program reads up to 2"));
    assert!(ArtifactError::Corrupted.to_string().contains("train the model again"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn random_bytes_are_refused(tail in prop::collection::vec(any::<u8>(), 0..400), ours in any::<bool>()) {
        let mut all = if ours { MAGIC.to_vec() } else { vec![] };
        all.extend(tail);
        prop_assert!(read(&all).is_err());
    }

    #[test]
    fn random_changes_are_refused(at in any::<prop::sample::Index>(), by in 1_u8..) {
        let mut changed = bytes().to_vec();
        let at = at.index(changed.len());
        changed[at] ^= by;
        prop_assert!(read(&changed).is_err());
    }

    /// Whoever can write a checksum gets no further: what decodes also answers or errs.
    #[test]
    fn changes_under_a_valid_checksum_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        near_the_start in any::<bool>(),
    ) {
        let (header, payload) = open(bytes()).unwrap();
        let mut payload = payload.to_vec();
        let reach = if near_the_start { payload.len().min(600) } else { payload.len() };
        for (at, value) in changes {
            payload[at.index(reach)] = value;
        }
        if let Ok(back) = read(&seal(header, &payload)) {
            let _ = back.model.predict(features());
        }
    }

    #[test]
    fn a_random_payload_under_a_valid_checksum_never_panics(
        payload in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let (header, _) = open(bytes()).unwrap();
        prop_assert!(read(&seal(header, &payload)).is_err());
    }
}
