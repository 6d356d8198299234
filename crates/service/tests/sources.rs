//! Sources against a peer that answers with shapes as they are recorded, breaks, and lies.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its house must fail")]

#[expect(dead_code, reason = "shared with tests that need more of it")]
mod common;
#[expect(dead_code, reason = "shared with tests that need more of it")]
#[path = "common/peer.rs"]
mod peer;

use std::sync::{Arc, Mutex};

use common::{HOUR, at, config, name};
use forewatt_domain::{SeriesKind, Time};
use forewatt_service::observations::ObservationQuery;
use forewatt_service::sources::{SourceKind, SourceSpec};
use forewatt_service::{ErrorKind, Service};
use peer::{Peer, Say};

/// A service whose clock is moved by hand, from midday of the first day on.
async fn service() -> (Service, Arc<Mutex<Time>>) {
    let now = Arc::new(Mutex::new(at(12 * HOUR)));
    let clock = Arc::clone(&now);
    let store = forewatt_store::Sqlite::in_memory().await.unwrap().into();
    (Service::with_store(store, config(at(0)), Arc::new(move || *clock.lock().unwrap())), now)
}

fn spec(peer: &Peer, kind: SourceKind, column: &str, series: &str) -> SourceSpec {
    SourceSpec {
        name: name("there"),
        kind,
        url: peer.url("/v1?from={from}"),
        series: [(column.to_owned(), name(series))].into(),
        every_seconds: 3_600,
        past_hours: 1,
        ahead_hours: 48,
        token_env: None,
    }
}

fn weather(unit: &str, values: &str) -> Say {
    let body = format!(
        r#"{{"latitude":52.5,"longitude":13.4,"utc_offset_seconds":0,"hourly_units":{{"time":"iso8601","t":"{unit}"}},
        "hourly":{{"time":["2024-01-01T12:00","2024-01-01T13:00","2024-01-01T14:00"],"t":{values}}}}}"#
    );
    Say::Body(200, body)
}

async fn known(service: &Service, series: &str, as_of: Time) -> Vec<f64> {
    let query = ObservationQuery {
        series: name(series),
        from: Some(at(0)),
        to: Some(at(48 * HOUR)),
        as_of: Some(as_of),
    };
    let page = service.read_observations(&query).await.unwrap();
    page.observations.into_iter().map(|o| o.value).collect()
}

#[tokio::test]
async fn what_changes_is_a_vintage_of_when_it_came() {
    let (service, clock) = service().await;
    let peer = Peer::start(weather("°C", "[1.5,2,null]")).await;
    service.put_source(&spec(&peer, SourceKind::OpenMeteo, "t", "city.t")).await.unwrap();
    let run = service.run_source("there").await.unwrap();
    assert_eq!((run.series[0].read, run.series[0].stored), (2, 2));
    assert!(peer.asked()[0].head.starts_with("GET /v1?from=202401011100 "), "{}", peer.asked()[0].head);
    let series = service.series(&name("city.t")).await.unwrap();
    assert_eq!((series.series.kind, series.series.unit.as_str()), (SeriesKind::Temperature, "degC"));
    *clock.lock().unwrap() = at(13 * HOUR);
    let again = service.run_source("there").await.unwrap();
    assert_eq!((again.series[0].stored, again.series[0].unchanged), (0, 2), "the same is no new vintage");
    peer.says(weather("°C", "[1.5,3,4]"));
    assert_eq!(service.run_source("there").await.unwrap().series[0].stored, 2);
    assert_eq!(known(&service, "city.t", at(12 * HOUR)).await, [1.5, 2.0], "as it was known then");
    assert_eq!(known(&service, "city.t", at(13 * HOUR)).await, [1.5, 3.0, 4.0]);
}

#[tokio::test]
async fn prices_come_from_xml() {
    let (service, _) = service().await;
    let body = r#"<Publication_MarketDocument xmlns="urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3"><TimeSeries>
        <currency_Unit.name>EUR</currency_Unit.name><price_Measure_Unit.name>MWH</price_Measure_Unit.name><curveType>A03</curveType>
        <Period><timeInterval><start>2024-01-01T12:00Z</start><end>2024-01-01T13:00Z</end></timeInterval><resolution>PT15M</resolution>
        <Point><position>1</position><price.amount>80</price.amount></Point><Point><position>4</position><price.amount>-5.5</price.amount></Point>
        </Period></TimeSeries></Publication_MarketDocument>"#;
    let peer = Peer::start(Say::Body(200, body.to_owned())).await;
    service.put_source(&spec(&peer, SourceKind::Entsoe, "price", "es.price")).await.unwrap();
    assert_eq!(service.run_source("there").await.unwrap().series[0].stored, 4);
    assert_eq!(known(&service, "es.price", at(12 * HOUR)).await, [80.0, 80.0, 80.0, -5.5]);
    let series = service.series(&name("es.price")).await.unwrap();
    assert_eq!((series.series.kind, series.series.unit.as_str()), (SeriesKind::Price, "EUR/MWh"));
    let empty =
        "<Acknowledgement_MarketDocument><Reason><text>none</text></Reason></Acknowledgement_MarketDocument>";
    peer.says(Say::Body(200, empty.to_owned()));
    let run = service.run_source("there").await.unwrap();
    assert!(run.ok && run.message.contains("none"), "{}", run.message);
}

#[tokio::test]
async fn of_an_answer_that_lies_nothing_is_kept() {
    let (service, clock) = service().await;
    let peer = Peer::start(weather("°C", "[1,2,3]")).await;
    service.put_source(&spec(&peer, SourceKind::OpenMeteo, "t", "city.t")).await.unwrap();
    service.run_source("there").await.unwrap();
    *clock.lock().unwrap() = at(13 * HOUR);
    for (lie, told) in [
        (weather("°F", "[33,34,35]"), "ask the source for that unit"),
        (weather("°C", "[9,9,285.5]"), "cannot be"),
        (weather("°C", "[9,9,\"x\"]"), "no number"),
    ] {
        peer.says(lie);
        let error = service.run_source("there").await.unwrap_err();
        assert!(error.message.contains(told), "{error}");
    }
    let Say::Body(_, body) = weather("°C", "[9,9,9]") else { panic!("weather is an answer with a body") };
    peer.says(Say::Body(200, body.replace("T14:00", "T11:00")));
    assert!(service.run_source("there").await.unwrap_err().message.contains("goes back"));
    assert_eq!(known(&service, "city.t", at(13 * HOUR)).await, [1.0, 2.0, 3.0]);
    let info = service.list_sources().await.unwrap().remove(0);
    assert_eq!(info.failures, 4);
    let last = info.last.unwrap();
    assert!(!last.ok && last.message.contains("goes back"), "{}", last.message);
}

#[tokio::test]
async fn a_broken_source_is_left_alone_and_tried_again_by_itself() {
    let (service, clock) = service().await;
    let peer = Peer::start(Say::Body(500, String::new())).await;
    service.put_source(&spec(&peer, SourceKind::OpenMeteo, "t", "city.t")).await.unwrap();
    // One run asks three times: the breaker then stands open.
    assert!(service.run_source("there").await.is_err());
    let refused = service.run_source("there").await.unwrap_err();
    assert!(refused.kind == ErrorKind::Unavailable && refused.message.contains("left alone"), "{refused}");
    assert_eq!(peer.asked().len(), 3);
    let info = service.list_sources().await.unwrap().remove(0);
    assert_eq!((info.failures, info.next_at), (2, at(12 * HOUR + 60_000_000)), "sooner than its own pace");
    assert_eq!(*clock.lock().unwrap(), at(12 * HOUR));
}

#[tokio::test]
async fn what_is_due_is_fetched_without_being_asked() {
    let (service, clock) = service().await;
    let peer = Peer::start(weather("°C", "[1,2,3]")).await;
    service.start_sources();
    service.put_source(&spec(&peer, SourceKind::OpenMeteo, "t", "city.t")).await.unwrap();
    peer.asked_times(1).await;
    let ended = async || service.list_sources().await.unwrap().remove(0).last.is_some_and(|run| run.ok);
    while !ended().await {}
    *clock.lock().unwrap() = at(13 * HOUR);
    peer.asked_times(2).await;
    assert_eq!(known(&service, "city.t", at(13 * HOUR)).await, [1.0, 2.0, 3.0]);
}

#[tokio::test]
async fn sources_that_cannot_be_are_refused_with_the_mend() {
    let (service, _) = service().await;
    let peer = Peer::start(Say::Nothing).await;
    let good = spec(&peer, SourceKind::OpenMeteo, "t", "city.t");
    for (bad, told) in [
        (SourceSpec { every_seconds: 1, ..good.clone() }, "60 s"),
        (SourceSpec { series: [].into(), ..good.clone() }, "temperature_2m=city.temperature"),
        (SourceSpec { url: "http://10.0.0.1/".to_owned(), ..good.clone() }, "allow_networks"),
        (SourceSpec { past_hours: 1_000_000, ..good.clone() }, "hours"),
        (SourceSpec { token_env: Some("PATH".to_owned()), ..good.clone() }, "no {token}"),
    ] {
        let refused = service.put_source(&bad).await.unwrap_err();
        assert!(refused.message.contains(told), "{refused}");
    }
    for other in ["a", "b", "c"] {
        service.put_source(&SourceSpec { name: name(other), ..good.clone() }).await.unwrap();
    }
    assert_eq!(service.put_source(&good).await.unwrap_err().kind, ErrorKind::TooLarge);
    assert!(service.run_source("aa").await.unwrap_err().message.contains("did you mean `a`"));
    service.remove_source("b").await.unwrap();
    assert_eq!(service.remove_source("b").await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(service.list_sources().await.unwrap().len(), 2);
}
