//! Smaller versions: registered with their parent and their price, or refused with how much they would lose.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use common::{DAY, at, fresh, hourly, name, quiet, write};
use forewatt_domain::{Family, VersionId};
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::optimize::OptimizeRequest;
use forewatt_service::train::TrainRequest;
use forewatt_service::{ErrorKind, Service};

const DAYS: i64 = 90;

async fn trained(family: Family) -> (Service, tempfile::TempDir, VersionId) {
    let (service, dir) = fresh(at(DAYS * DAY)).await;
    write(&service, "load", &hourly(DAYS)).await;
    let request = TrainRequest {
        model: Some(family),
        horizon: Some("PT24H".to_owned()),
        backtest_days: Some(5),
        covariates: Some(vec![]),
        ..TrainRequest::new(name("load"))
    };
    let report = service.train(&request, quiet()).await.unwrap();
    (service, dir, report.version.id)
}

#[tokio::test]
async fn a_smaller_version_names_its_parent_and_its_price() {
    let (service, _dir, id) = trained(Family::Gbdt).await;
    let request = OptimizeRequest { max_loss: 0.05, days: 20, ..OptimizeRequest::default() };
    let report = service.optimize(&id, request, quiet()).await.unwrap();
    let version = service.version(&report.version.id).await.unwrap();
    assert_eq!(version.parent.as_ref(), Some(&id));
    assert_ne!(version.id, id);
    assert_eq!(version.artifact_bytes, report.after.bytes);
    assert!(report.after.bytes * 3 < report.before.bytes, "{report:?}");
    assert!(report.loss <= 0.05 && report.before.rows_per_second > 0.0, "{report:?}");
    assert_eq!(version.metrics["validation_pinball"], report.after.pinball);
    assert_eq!(version.metrics["artifact_bytes_before"], report.before.bytes as f64);
    assert!(version.notes.iter().any(|note| note.contains("before") && note.contains("size")), "{version:?}");

    // A candidate: the parent still answers, and a forced promotion changes that.
    let ask = ForecastRequest::new(name("load"));
    assert_eq!(service.forecast(&ask).await.unwrap().forecast.model_version, id);
    let refused = service.promote(&version.id, None).await.unwrap_err();
    assert!(refused.kind == ErrorKind::Conflict && refused.message.contains("smaller"), "{refused}");
    service.promote(&version.id, Some("half the memory")).await.unwrap();
    let answer = service.forecast(&ask).await.unwrap();
    assert_eq!(answer.forecast.model_version, version.id);
}

#[tokio::test]
async fn what_loses_more_than_allowed_is_refused_with_the_loss() {
    let (service, _dir, id) = trained(Family::Linear).await;
    let before = service.list_versions(None, None).await.unwrap().len();
    // What is left of a model that may lose nothing: some rounding always costs, here or there.
    let strict = OptimizeRequest { prune: true, max_loss: 0.0, ..OptimizeRequest::default() };
    let refused = service.optimize(&id, strict, quiet()).await.unwrap_err();
    assert!(refused.kind == ErrorKind::InvalidInput && refused.message.contains("linear"), "{refused}");
    let wrong = OptimizeRequest { max_loss: -0.1, ..OptimizeRequest::default() };
    assert_eq!(service.optimize(&id, wrong, quiet()).await.unwrap_err().kind, ErrorKind::InvalidInput);
    assert_eq!(service.list_versions(None, None).await.unwrap().len(), before, "nothing was registered");

    let (service, _dir, id) = trained(Family::Gbdt).await;
    let harsh = OptimizeRequest { prune: true, max_loss: 0.0, days: 20, ..OptimizeRequest::default() };
    match service.optimize(&id, harsh, quiet()).await {
        Err(refused) => {
            assert!(refused.kind == ErrorKind::Conflict && refused.message.contains("loses"), "{refused}");
            assert!(refused.message.contains("0.00 % allowed"), "{refused}");
            assert_eq!(service.list_versions(None, None).await.unwrap().len(), 1);
        }
        Ok(report) => assert!(report.loss <= 0.0, "{report:?}"),
    }
}
