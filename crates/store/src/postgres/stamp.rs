//! Instants as PostgreSQL's `timestamptz`: microseconds, as ours, counted from the year 2000.

use forewatt_domain::Time;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres as Driver, Type};

/// 2000-01-01T00:00:00Z in our microseconds.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
// The types' numbers are the same in every database, see PostgreSQL's pg_type.dat.
const TIMESTAMPTZ: PgTypeInfo = PgTypeInfo::with_oid(Oid(1184));
const TIMESTAMPTZ_ARRAY: PgTypeInfo = PgTypeInfo::with_oid(Oid(1185));

/// An instant on its way to or from a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(pub Time);

impl Stamp {
    /// The eight bytes of a binary column or parameter.
    pub(super) fn to_bytes(self) -> [u8; 8] {
        (self.0.micros() - EPOCH_MICROS).to_be_bytes() // far from overflow: instants lie in 1800 to 2300
    }
}

impl Type<Driver> for Stamp {
    fn type_info() -> PgTypeInfo {
        TIMESTAMPTZ
    }
}

impl PgHasArrayType for Stamp {
    fn array_type_info() -> PgTypeInfo {
        TIMESTAMPTZ_ARRAY
    }
}

impl Encode<'_, Driver> for Stamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.to_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Driver> for Stamp {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() != PgValueFormat::Binary {
            return Err("an instant came as text".into());
        }
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        let micros = micros.checked_add(EPOCH_MICROS).ok_or("an instant lies beyond all time")?;
        Ok(Self(Time::from_micros(micros)))
    }
}
