//! Keys, limits and the audit log without a transport.

use forewatt_domain::time::{MICROS_PER_DAY, MICROS_PER_SECOND};
use forewatt_domain::{Reach, Scope, Time};

use super::config::{Mode, RateLimitConfig};
use super::rate::{Limiter, Why};
use super::{Call, RefusalLog, covers, covers_version};

fn limits() -> RateLimitConfig {
    RateLimitConfig {
        mode: Mode::On,
        units_per_minute: 60,
        burst_units: 10,
        units_per_day: 100,
        concurrency_per_key_max: 2,
        values_per_unit: 500,
        train_units: 100,
        callers_max: 10,
    }
}

/// So many seconds after the noon of a day.
fn at(seconds: i64) -> Time {
    Time::from_seconds(20_000 * 86_400 + 43_200 + seconds)
}

#[tokio::test]
async fn a_bucket_empties_goes_into_debt_and_fills_again() {
    let limiter = Limiter::new(limits());
    let dear = limiter.enter("a", at(0)).await.unwrap();
    let standing = dear.pay(25, at(0));
    assert_eq!((standing.units, standing.full_in_s, standing.today), (0, 25, Some(75)));
    drop(dear);
    let denied = limiter.enter("a", at(1)).await.unwrap_err();
    assert_eq!((denied.why, denied.retry_after_s), (Why::Rate, 15), "14 units of debt and one to enter");
    assert!(limiter.enter("b", at(1)).await.is_ok(), "another caller has a purse of its own");
    assert!(limiter.enter("a", at(15)).await.is_err());
    let next = limiter.enter("a", at(16)).await.unwrap();
    assert_eq!(next.pay(1, at(16)).units, 0);
    drop(next);
    let rested = limiter.enter("a", at(3_600)).await.unwrap();
    assert_eq!(rested.pay(1, at(3_600)).units, 9, "never more than the burst");
}

#[tokio::test]
async fn a_quota_ends_with_the_day() {
    let limiter = Limiter::new(RateLimitConfig { units_per_minute: 60_000, ..limits() });
    let one = limiter.enter("a", at(0)).await.unwrap();
    assert_eq!(one.pay(100, at(0)).today, Some(0));
    drop(one);
    let denied = limiter.enter("a", at(60)).await.unwrap_err();
    assert_eq!((denied.why, denied.retry_after_s), (Why::Quota, 43_200 - 60));
    assert!(limiter.enter("a", at(43_200)).await.is_ok());
    let endless = Limiter::new(RateLimitConfig { units_per_day: 0, ..limits() });
    let one = endless.enter("a", at(0)).await.unwrap();
    assert_eq!(one.pay(1_000_000, at(0)).today, None);
}

#[tokio::test]
async fn places_are_given_back() {
    let limiter = Limiter::new(limits());
    let (one, two) = (limiter.enter("a", at(0)).await.unwrap(), limiter.enter("a", at(0)).await.unwrap());
    assert_eq!(limiter.enter("a", at(0)).await.unwrap_err().why, Why::Concurrency);
    drop(one);
    assert!(limiter.enter("a", at(0)).await.is_ok());
    drop(two);
}

#[tokio::test]
async fn a_clock_set_back_gives_nothing() {
    let limiter = Limiter::new(limits());
    let one = limiter.enter("a", at(0)).await.unwrap();
    assert_eq!(one.pay(10, at(0)).units, 0);
    assert_eq!(one.pay(0, at(-3_600)).units, 0);
}

#[test]
fn refusals_are_all_counted_and_few_are_written() {
    let log = RefusalLog::new(2);
    let minute = |m: i64| Time::from_micros(m * 60 * MICROS_PER_SECOND + MICROS_PER_DAY);
    assert_eq!([log.note(minute(0)), log.note(minute(0))], [Some(1), Some(1)]);
    assert_eq!([log.note(minute(0)), log.note(minute(0))], [None, None]);
    assert_eq!([log.note(minute(1)), log.note(minute(1)), log.note(minute(1))], [Some(3), Some(1), None]);
    assert_eq!(RefusalLog::new(0).note(minute(0)), None);
}

#[tokio::test]
async fn a_call_names_its_series_and_their_versions_only() {
    let reach = Reach::try_from(vec!["city.*".to_owned()]).unwrap();
    let name = |text: &str| text.parse().unwrap();
    let id = |text: &str| forewatt_domain::VersionId::from_text(text).unwrap();
    let call = Call::new("key", &reach);
    call.scope(async {
        assert!(covers(&name("city.load")) && !covers(&name("town.load")));
        assert!(covers_version(&id("city.load-v2")) && !covers_version(&id("town.load-v2")));
        for odd in ["city.load", "city.load-v", "city.load-vx", "-v1"] {
            assert!(!covers_version(&id(odd)), "{odd}");
        }
        let carried = tokio::spawn(super::carried(async { covers(&"town.load".parse().unwrap()) }));
        assert!(!carried.await.unwrap(), "a task that carries the call is bound as it is");
        super::charge(7);
    })
    .await;
    assert_eq!(call.values(), 7);
    assert!(covers(&name("town.load")) && covers_version(&id("city.load")), "without a call");
    assert!(Call::new("key", &Reach::all()).step(|| covers(&name("town.load"))));
}

#[test]
fn scopes_are_words() {
    let words: Vec<Scope> = ["read", "write", "train", "admin"].map(|w| w.parse().unwrap()).to_vec();
    assert_eq!(
        words.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" "),
        "read write train admin"
    );
}
