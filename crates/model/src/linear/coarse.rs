//! Regressions in half the bytes: numbers of 16 bits with the exponents of f32 (bf16).
//!
//! A bf16 number errs by up to 0.4 %. What that moves in the middle of a column is put back into the intercept, which
//! stays whole, so that only slopes and bounds are a little off.

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::LinearModel;
use super::scale::Column;
use super::select::Regression;

/// The nearest f32 with the lower 16 bits zero; ties to even. Greatest numbers stay finite.
fn rounded(value: f32) -> f32 {
    let bits = value.to_bits();
    let up = 0x7fff + (bits >> 16 & 1);
    let near = f32::from_bits(bits.wrapping_add(up) & 0xffff_0000);
    if near.is_finite() { near } else { f32::from_bits(bits & 0xffff_0000) }
}

/// A term as written: the feature, its flags, six numbers of the column and the slope, bf16, little-endian.
type Term = (u32, u8, [[u8; 2]; 7]);

fn to_term((column, slope): &(Column, f32)) -> Term {
    let (flags, numbers) = column.parts();
    let [a, b, c, d, e, f] = numbers;
    // Rounded before: the lower half is zero.
    let half = |value: f32| ((value.to_bits() >> 16) as u16).to_le_bytes();
    (column.source, flags, [a, b, c, d, e, f, *slope].map(half))
}

fn from_term((source, flags, numbers): Term) -> (Column, f32) {
    let whole = |half: [u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(half)) << 16);
    let [a, b, c, d, e, f, slope] = numbers.map(whole);
    (Column::from_parts(source, flags, [a, b, c, d, e, f]), slope)
}

impl LinearModel {
    /// The same regressions with columns and slopes in bf16.
    #[must_use]
    pub(crate) fn coarse(&self) -> Self {
        Self { regressions: self.regressions.iter().map(Regression::coarse).collect(), ..self.clone() }
    }
}

impl Regression {
    fn coarse(&self) -> Self {
        let mut intercept = f64::from(self.intercept);
        let term = |(column, slope): &(Column, f32)| {
            let (flags, numbers) = column.parts();
            let coarse = Column::from_parts(column.source, flags, numbers.map(rounded));
            let slope_now = rounded(*slope);
            for raw in column.quarters() {
                let before = f64::from(column.apply(raw) * slope);
                intercept += (before - f64::from(coarse.apply(raw) * slope_now)) / 2.0;
            }
            (coarse, slope_now)
        };
        let terms: Vec<(Column, f32)> = self.terms.iter().map(term).collect();
        Self { intercept: intercept as f32, terms }
    }

    fn is_coarse(&self) -> bool {
        let whole = |value: &f32| *value == rounded(*value);
        !self.terms.is_empty()
            && self.terms.iter().all(|(column, slope)| column.parts().1.iter().chain([slope]).all(whole))
    }
}

impl Serialize for Regression {
    /// As in format 1 the intercept and the terms; or an intercept that is no number, and then the coarse form.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let coarse = self.is_coarse();
        let mut parts = serializer.serialize_tuple(if coarse { 3 } else { 2 })?;
        if coarse {
            parts.serialize_element(&f32::NAN)?;
            parts.serialize_element(&self.intercept)?;
            parts.serialize_element(&self.terms.iter().map(to_term).collect::<Vec<_>>())?;
        } else {
            parts.serialize_element(&self.intercept)?;
            parts.serialize_element(&self.terms)?;
        }
        parts.end()
    }
}

impl<'de> Deserialize<'de> for Regression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(3, ForRegression)
    }
}

struct ForRegression;

impl<'de> Visitor<'de> for ForRegression {
    type Value = Regression;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a regression")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Regression, A::Error> {
        let cut = || A::Error::custom("a regression is cut off");
        let intercept: f32 = parts.next_element()?.ok_or_else(cut)?;
        if !intercept.is_nan() {
            return Ok(Regression { intercept, terms: parts.next_element()?.ok_or_else(cut)? });
        }
        let intercept = parts.next_element()?.ok_or_else(cut)?;
        let terms: Vec<Term> = parts.next_element()?.ok_or_else(cut)?;
        Ok(Regression { intercept, terms: terms.into_iter().map(from_term).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_the_nearest() {
        for (value, near) in
            [(1.0, 1.0), (1.003, 1.0), (1.006, 1.007_812_5), (-3.0e38, -3.004_055_3e38), (0.0, 0.0)]
        {
            assert_eq!(rounded(value), near, "{value}");
        }
        assert!(rounded(f32::MAX).is_finite());
        assert_eq!(rounded(rounded(0.1)), rounded(0.1));
    }
}
