//! The degradation ladder: what makes a version fail, who answers then, how it is labelled, and how it ends.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use forewatt_domain::{ModelVersion, Time, VersionId};
use forewatt_model::artifact::{self, Artifact};
use forewatt_model::features::FeatureSpec;
use forewatt_service::cache::Answer;
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::ladder::Rung;
use forewatt_service::train::TrainRequest;
use forewatt_service::{ErrorKind, Service};
use forewatt_store::rows::NewVersion;
use forewatt_store::{Backend, Sqlite, VersionStore};

use crate::common::{DAY, HOUR, at, config, fresh, hourly, name, open, quiet, write};

const NOW: i64 = 60 * DAY;

async fn train(service: &Service, family: &str, horizon: &str) -> ModelVersion {
    let request = TrainRequest {
        model: Some(family.parse().unwrap()),
        horizon: Some(horizon.to_owned()),
        backtest_days: Some(3),
        ..TrainRequest::new(name("load"))
    };
    let version = service.train(&request, quiet()).await.unwrap().version;
    let _ = service.promote(&version.id, Some("for this test")).await;
    version
}

async fn ask(service: &Service) -> Result<Arc<Answer>, forewatt_service::Error> {
    service.forecast(&ForecastRequest::new(name("load"))).await
}

/// The file of a version's artifact.
fn file_of(folder: &Path, version: &ModelVersion) -> std::path::PathBuf {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(&version.artifact_sha256) {
                found.push(path);
            }
        }
    }
    found.pop().unwrap()
}

fn says(answer: &Answer, rung: Rung) {
    assert_eq!(answer.rung, rung);
    let json: serde_json::Value = serde_json::from_slice(&answer.json).unwrap();
    assert_eq!(json.get("fallback").and_then(|word| word.as_str()), rung.label());
    assert_eq!(json["degraded"].is_string(), rung != Rung::Champion, "{}", json["degraded"]);
    assert!(answer.forecast.check().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_damaged_artifacts_go_down_the_ladder_rung_by_rung() {
    let (service, dir) = fresh(at(NOW)).await;
    write(&service, "load", &hourly(60)).await;
    let older = train(&service, "seasonal-empirical", "PT24H").await;
    let good = train(&service, "seasonal-naive", "PT24H").await;
    let shorter = train(&service, "seasonal-naive", "PT12H").await;
    let champion = train(&service, "linear", "PT24H").await;
    says(&ask(&service).await.unwrap(), Rung::Champion);
    service.close().await;

    // The artifact is gone: who was champion before answers; the one in between promises less than the champion.
    std::fs::remove_file(file_of(dir.path(), &champion)).unwrap();
    let service = open(&dir, at(NOW)).await;
    let answer = ask(&service).await.unwrap();
    says(&answer, Rung::LastGood);
    assert_eq!(answer.forecast.model_version, good.id);
    assert!(answer.forecast.degraded.as_ref().unwrap().contains(champion.id.as_str()));
    // Asked for by name it is no fallback, and the failed one is refused, not replaced.
    let named =
        |id: &VersionId| ForecastRequest { version: Some(id.clone()), ..ForecastRequest::new(name("load")) };
    says(&service.forecast(&named(&good.id)).await.unwrap(), Rung::Champion);
    assert_eq!(service.forecast(&named(&champion.id)).await.unwrap_err().kind, ErrorKind::Corrupt);
    service.close().await;

    // The others are cut short: a model of like days is learned on the spot.
    for version in [&good, &older] {
        let file = file_of(dir.path(), version);
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    }
    assert!(file_of(dir.path(), &shorter).exists());
    let service = open(&dir, at(NOW)).await;
    let answer = ask(&service).await.unwrap();
    says(&answer, Rung::SeasonalEmpirical);
    assert_eq!(answer.forecast.points.len(), 24);
    assert_eq!(answer.forecast.levels.len(), 3);
    let means = answer.forecast.points.iter().map(|point| point.mean);
    assert!(means.clone().all(|mean| (600.0..1_400.0).contains(&mean)), "{:?}", means.collect::<Vec<_>>());
    // It is no registered version, so nothing of it is kept.
    let all = service.list_versions(Some(&name("load")), None).await.unwrap();
    assert!(all.iter().all(|version| version.id != answer.forecast.model_version));
    service.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_ladder_taken_away_the_failure_itself_is_told() {
    let (service, dir) = fresh(at(NOW)).await;
    write(&service, "load", &hourly(60)).await;
    train(&service, "seasonal-naive", "PT24H").await;
    let champion = train(&service, "linear", "PT24H").await;
    service.close().await;
    std::fs::remove_file(file_of(dir.path(), &champion)).unwrap();
    let mut stern = config(at(NOW));
    stern.degradation.enabled = false;
    let options =
        forewatt_service::StoreOptions { read_connections: 2, busy_timeout_ms: 1_000, postgres: None };
    let service = Service::open(dir.path(), &options, stern).await.unwrap();
    let refused = ask(&service).await.unwrap_err();
    assert!(
        refused.kind == ErrorKind::Corrupt && refused.message.contains(champion.id.as_str()),
        "{refused}"
    );
}

/// A service over a store that the test can reach around it.
async fn open_house(now: Time) -> (Service, Backend) {
    let store: Backend = Sqlite::in_memory().await.unwrap().into();
    (Service::with_store(store.clone(), config(now), Arc::new(move || now)), store)
}

/// Registers what a version would be if its model knew other features than its recipe makes.
async fn poison(
    service: &Service,
    store: &Backend,
    version: &ModelVersion,
    other: &ModelVersion,
) -> VersionId {
    let read = |sha: String| async move {
        artifact::decode::<FeatureSpec>(&store.get_artifact(&sha).await.unwrap()).unwrap()
    };
    let (good, wrong) =
        (read(version.artifact_sha256.clone()).await, read(other.artifact_sha256.clone()).await);
    let mixed = Artifact { recipe: good.recipe.clone(), spec: wrong.spec, model: good.model };
    let bytes = artifact::encode(&mixed).unwrap();
    let artifact_sha256 = store.put_artifact(&bytes).await.unwrap();
    let new = NewVersion {
        series: version.series.clone(),
        recipe: version.recipe.clone(),
        parent: None,
        created_at: version.created_at,
        trained_from: version.trained_from,
        trained_to: version.trained_to,
        as_of: version.as_of,
        metrics: BTreeMap::new(),
        notes: Vec::new(),
        artifact_sha256,
        artifact_bytes: bytes.len() as u64,
    };
    let id = store.add_version(new).await.unwrap().id;
    service.promote(&id, Some("poisoned for this test")).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_features_are_missing_fails_while_it_computes() {
    let (service, store) = open_house(at(NOW)).await;
    write(&service, "load", &hourly(60)).await;
    let rich = train(&service, "linear", "PT24H").await;
    // The shorter horizon has other lags, and so other features.
    let other = train(&service, "linear", "PT168H").await;
    let good = train(&service, "seasonal-naive", "PT24H").await;
    let poisoned = poison(&service, &store, &rich, &other).await;
    let answer = ask(&service).await.unwrap();
    says(&answer, Rung::LastGood);
    assert_eq!(answer.forecast.model_version, good.id, "{:?}", answer.forecast.degraded);
    assert!(answer.forecast.degraded.as_ref().unwrap().contains(poisoned.as_str()));
    // A batch goes down the same ladder.
    let batch = service.forecast_batch(vec![ForecastRequest::new(name("load")); 2]).await.unwrap();
    batch.iter().for_each(|answer| says(answer.as_ref().unwrap(), Rung::LastGood));
    // A better champion answers at once.
    service.promote(&good.id, Some("healed")).await.unwrap();
    says(&ask(&service).await.unwrap(), Rung::Champion);
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_without_data_are_told() {
    let (service, _dir) = fresh(at(NOW)).await;
    let mut known = hourly(60);
    known.truncate(60 * 24 - 30);
    write(&service, "load", &known).await;
    train(&service, "seasonal-naive", "PT24H").await;
    let silent = ask(&service).await.unwrap().forecast.degraded.clone();
    assert!(silent.as_ref().is_some_and(|why| why.contains("30 hours before the start")), "{silent:?}");
    let fresher =
        ForecastRequest { forecast_start: Some(at(NOW - 30 * HOUR)), ..ForecastRequest::new(name("load")) };
    let told = service.forecast(&fresher).await.unwrap().forecast.degraded.clone().unwrap_or_default();
    assert!(!told.contains("before the start"), "{told}");
}
