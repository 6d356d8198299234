//! Between the messages and the domain: instants, durations, failures.

use forewatt_service::domain::Time;
use forewatt_service::domain::time::MICROS_PER_SECOND;
use forewatt_service::{Error, ErrorKind, Result};
use jiff::SignedDuration;
use prost_types::{Duration, Timestamp};
use tonic::Status;

use crate::error::{Problem, grpc_code};

/// What every method returns.
pub type Answered<T> = std::result::Result<tonic::Response<T>, Status>;

/// A failure as gRPC tells it.
pub fn status(error: Error) -> Status {
    Status::new(grpc_code(error.kind), error.message)
}

/// A wrong field, found by what REST reads its bodies with.
pub fn invalid(problem: &Problem) -> Status {
    status(Error::invalid(problem.detail.replace("body.", "")))
}

/// An instant as a message.
pub fn stamp(time: Time) -> Timestamp {
    let (micros, second) = (time.micros(), MICROS_PER_SECOND);
    // Less than a million microseconds are less than 2^31 nanoseconds.
    let nanos = i32::try_from(micros.rem_euclid(second) * 1_000).unwrap_or(0);
    Timestamp { seconds: micros.div_euclid(second), nanos }
}

/// An instant from a message, to the microsecond.
pub fn time(field: &str, stamp: Option<&Timestamp>) -> Result<Option<Time>> {
    let Some(stamp) = stamp else { return Ok(None) };
    let (first, last) = (Time::MIN.seconds(), Time::MAX.seconds());
    if !(first..=last).contains(&stamp.seconds) || !(0..1_000_000_000).contains(&stamp.nanos) {
        let message = format!("{field}: the instant lies outside {} to {}", Time::MIN, Time::MAX);
        return Err(Error::invalid(message));
    }
    let micros = stamp.seconds * MICROS_PER_SECOND + i64::from(stamp.nanos / 1_000);
    Ok(Some(Time::from_micros(micros)))
}

/// An instant that must be there.
pub fn needed_time(field: &str, stamp: Option<&Timestamp>) -> Result<Time> {
    time(field, stamp)?.ok_or_else(|| Error::invalid(format!("{field}: is missing: give an instant")))
}

/// A duration as a message.
pub fn span(duration: SignedDuration) -> Duration {
    Duration { seconds: duration.as_secs(), nanos: duration.subsec_nanos() }
}

/// A duration from a message.
pub fn duration(field: &str, span: Option<&Duration>) -> Result<Option<SignedDuration>> {
    let Some(span) = span else { return Ok(None) };
    let fits =
        span.nanos.abs() < 1_000_000_000 && span.seconds.unsigned_abs() <= Time::MAX.seconds().unsigned_abs();
    if !fits {
        return Err(Error::invalid(format!("{field}: {} s is no duration to forecast over", span.seconds)));
    }
    Ok(Some(SignedDuration::new(span.seconds, span.nanos)))
}

/// How many things one answer may hold: what was asked for, or `default`, from 1 to `max`.
pub fn limit(asked: Option<u32>, default: u32, max: u32) -> Result<u32> {
    match asked {
        None => Ok(default.min(max)),
        Some(count) if (1..=max).contains(&count) => Ok(count),
        Some(count) => {
            Err(Error::new(ErrorKind::InvalidInput, format!("limit: {count} is out of range: 1 to {max}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_durations_survive_the_way_there_and_back() {
        for text in ["2026-03-29T01:30:00Z", "1900-01-01T00:00:00.25Z", "1969-12-31T23:59:59.999999Z"] {
            let instant: Time = text.parse().unwrap();
            assert_eq!(time("t", Some(&stamp(instant))).unwrap(), Some(instant), "{text}");
        }
        let short = SignedDuration::new(900, 500_000_000);
        assert_eq!(duration("d", Some(&span(short))).unwrap(), Some(short));
        assert_eq!((time("t", None).unwrap(), duration("d", None).unwrap()), (None, None));
    }

    #[test]
    fn what_is_no_instant_is_told_with_its_field() {
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, i32::MAX)] {
            let told = time("as_of", Some(&Timestamp { seconds, nanos })).unwrap_err();
            assert!(told.message.starts_with("as_of: "), "{}", told.message);
            assert!(duration("horizon", Some(&Duration { seconds, nanos: i32::MAX })).is_err());
        }
        assert!(needed_time("valid_time", None).unwrap_err().message.contains("valid_time"));
        assert!(limit(Some(0), 5, 9).is_err() && limit(Some(10), 5, 9).is_err());
        assert_eq!((limit(None, 20, 9).unwrap(), limit(Some(3), 5, 9).unwrap()), (9, 3));
    }
}
