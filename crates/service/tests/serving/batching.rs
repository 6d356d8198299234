//! Questions of rows answered together: the same bits as alone, never another's, whoever leaves.

use std::sync::Arc;

use forewatt_domain::{Time, VersionId};
use forewatt_service::infer::Rows;
use forewatt_service::train::TrainRequest;
use forewatt_service::{ErrorKind, Service};
use forewatt_store::Sqlite;
use futures::FutureExt as _;
use futures::future::join_all;

use crate::common::{DAY, at, config, hourly, name, quiet, write};

/// Questions that are open at once.
const AT_ONCE: usize = 64;
/// Questions in all.
const QUESTIONS: usize = 2_048;

async fn house() -> (Service, VersionId, usize) {
    let now = at(60 * DAY);
    let mut config = config(now);
    config.batching.enabled = true;
    let service =
        Service::with_store(Sqlite::in_memory().await.unwrap().into(), config, Arc::new(move || now));
    write(&service, "load", &hourly(60)).await;
    let request = TrainRequest {
        model: "gbdt".parse().ok(),
        horizon: Some("PT6H".to_owned()),
        training_days: Some(14),
        backtest_days: Some(3),
        ..TrainRequest::new(name("load"))
    };
    let id = service.train(&request, quiet()).await.unwrap().version.id;
    let columns = service.signature(&id).await.unwrap().features.len();
    (service, id, columns)
}

/// The `serial`-th question: one to three rows that no other question has.
fn question(serial: usize, columns: usize, times: bool) -> Rows {
    let rows = 1 + serial % 3;
    let value = |i: usize| 700.0 + ((serial * 7_919 + i * 104_729) % 600_011) as f32 / 1_000.0;
    let time = |row: usize| {
        let start = at(50 * DAY);
        (start, Time::from_seconds(start.seconds() + 3_600 * ((serial + row) % 6) as i64))
    };
    Rows {
        values: (0..rows * columns).map(value).collect(),
        times: times.then(|| (0..rows).map(time).collect()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_never_cross_and_have_the_bits_of_single_ones() {
    let (service, id, columns) = house().await;
    let alone = |rows: Rows| {
        let (service, id) = (service.clone(), id.clone());
        async move { service.infer(&id, rows).await.unwrap() }
    };
    for first in (0..QUESTIONS).step_by(AT_ONCE) {
        let rows = |serial: usize| question(serial, columns, serial.is_multiple_of(5));
        let together = join_all((first..first + AT_ONCE).map(|serial| alone(rows(serial)))).await;
        // Asked again one by one, nobody is there to share a call with.
        for (serial, said) in (first..).zip(together) {
            if serial % 16 == first / AT_ONCE % 16 {
                assert_eq!(alone(rows(serial)).await, said, "question {serial}");
            }
            assert_eq!(said.mean.len(), 1 + serial % 3);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_and_who_asks_wrongly_harms_nobody() {
    let (service, id, columns) = house().await;
    let expected = service.infer(&id, question(1, columns, false)).await.unwrap();
    let mut leaving: Vec<_> =
        (0..32).map(|serial| Box::pin(service.infer(&id, question(serial, columns, false)))).collect();
    for one in &mut leaving {
        let _ = one.now_or_never();
    }
    let staying = service.infer(&id, question(1, columns, false));
    drop(leaving);
    assert_eq!(staying.await.unwrap(), expected);
    let wrong = Rows { values: vec![0.0; columns + 1], times: None };
    assert_eq!(service.infer(&id, wrong).await.unwrap_err().kind, ErrorKind::InvalidInput);
}
