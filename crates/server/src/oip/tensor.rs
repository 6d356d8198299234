//! Named tensors: what they hold, as JSON and as raw little-endian bytes in row-major order.

use std::fmt;

use forewatt_service::{Error, Result};
use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Unexpected, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The values of a tensor. Whole numbers of every width are read as 64-bit ones; what is answered is one of these.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// `INT8` to `INT64`, `UINT8` to `UINT64`, `BOOL`.
    Int64(Vec<i64>),
    /// `FP32`.
    Fp32(Vec<f32>),
    /// `FP64`.
    Fp64(Vec<f64>),
    /// `BYTES`: elements of any length.
    Bytes(Vec<Vec<u8>>),
}

/// A named tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its extent along each axis.
    pub shape: Vec<usize>,
    /// As many values as the shape has room for.
    pub data: Data,
}

/// Axes of one tensor.
const AXES_MAX: usize = 8;

impl Tensor {
    /// A tensor whose values fill its shape.
    ///
    /// # Errors
    /// `InvalidInput` when they do not.
    pub fn new(name: &str, shape: &[i64], data: Data) -> Result<Self> {
        let wanted = elements(name, shape)?;
        if data.len() != wanted {
            let message = format!(
                "input `{name}`: the shape {shape:?} holds {wanted} values, {} were sent",
                data.len()
            );
            return Err(Error::invalid(message));
        }
        let shape = shape.iter().map(|&extent| usize::try_from(extent).unwrap_or(0)).collect();
        Ok(Self { name: name.to_owned(), shape, data })
    }

    /// An answer's tensor: whoever makes it knows that the values fill the shape.
    pub fn answer(name: &str, shape: Vec<usize>, data: Data) -> Self {
        Self { name: name.to_owned(), shape, data }
    }

    /// The shape as clients read it.
    pub fn extents(&self) -> Vec<i64> {
        self.shape.iter().map(|&extent| i64::try_from(extent).unwrap_or(i64::MAX)).collect()
    }
}

/// How many values a shape holds.
///
/// # Errors
/// `InvalidInput` for negative extents, too many axes, and more than could ever be sent.
pub fn elements(name: &str, shape: &[i64]) -> Result<usize> {
    let fits = shape.len() <= AXES_MAX;
    let product = shape.iter().try_fold(1_usize, |product, &extent| {
        usize::try_from(extent).ok().and_then(|extent| product.checked_mul(extent))
    });
    product.filter(|&count| fits && count <= 1 << 32).ok_or_else(|| {
        Error::invalid(format!("input `{name}`: {shape:?} is no shape: use up to {AXES_MAX} extents from 0"))
    })
}

/// One value after another, a fixed number of bytes each.
fn fixed<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (values, rest) = bytes.as_chunks::<N>();
    rest.is_empty().then(|| values.iter().map(|value| read(*value)).collect())
}

impl Data {
    /// How many values there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Int64(values) => values.len(),
            Self::Fp32(values) => values.len(),
            Self::Fp64(values) => values.len(),
            Self::Bytes(values) => values.len(),
        }
    }

    /// The word for the type.
    pub const fn datatype(&self) -> &'static str {
        match self {
            Self::Int64(_) => "INT64",
            Self::Fp32(_) => "FP32",
            Self::Fp64(_) => "FP64",
            Self::Bytes(_) => "BYTES",
        }
    }

    /// Reads raw bytes of a type.
    ///
    /// # Errors
    /// `InvalidInput` for a type that is not read here and bytes that do not end where a value does.
    pub fn from_raw(name: &str, datatype: &str, bytes: &[u8]) -> Result<Self> {
        let read = match datatype {
            "BOOL" | "UINT8" => fixed(bytes, |b: [u8; 1]| i64::from(b[0])).map(Self::Int64),
            "INT8" => fixed(bytes, |b| i64::from(i8::from_le_bytes(b))).map(Self::Int64),
            "INT16" => fixed(bytes, |b| i64::from(i16::from_le_bytes(b))).map(Self::Int64),
            "UINT16" => fixed(bytes, |b| i64::from(u16::from_le_bytes(b))).map(Self::Int64),
            "INT32" => fixed(bytes, |b| i64::from(i32::from_le_bytes(b))).map(Self::Int64),
            "UINT32" => fixed(bytes, |b| i64::from(u32::from_le_bytes(b))).map(Self::Int64),
            "INT64" => fixed(bytes, i64::from_le_bytes).map(Self::Int64),
            // No input here means anything beyond 2^63; what does is refused with the other senseless values.
            "UINT64" => {
                fixed(bytes, |b| i64::try_from(u64::from_le_bytes(b)).unwrap_or(i64::MAX)).map(Self::Int64)
            }
            "FP32" => fixed(bytes, f32::from_le_bytes).map(Self::Fp32),
            "FP64" => fixed(bytes, f64::from_le_bytes).map(Self::Fp64),
            "BYTES" => with_lengths(bytes).map(Self::Bytes),
            other => return Err(unknown_type(name, other)),
        };
        read.ok_or_else(|| {
            Error::invalid(format!(
                "input `{name}`: {} raw bytes are no whole {datatype} values",
                bytes.len()
            ))
        })
    }

    /// Reads JSON values of a type; nested lists are read in order. `null` is a value not known, for floats.
    ///
    /// # Errors
    /// `InvalidInput` for a type that is not read here and values of another.
    pub fn from_json(name: &str, datatype: &str, json: &RawValue) -> Result<Self> {
        let mut data = match datatype {
            "BOOL" | "INT8" | "INT16" | "INT32" | "INT64" | "UINT8" | "UINT16" | "UINT32" | "UINT64" => {
                Self::Int64(Vec::new())
            }
            "FP32" => Self::Fp32(Vec::new()),
            "FP64" => Self::Fp64(Vec::new()),
            "BYTES" => Self::Bytes(Vec::new()),
            other => return Err(unknown_type(name, other)),
        };
        let mut reader = serde_json::Deserializer::from_str(json.get());
        match (Filling { data: &mut data }).deserialize(&mut reader) {
            Ok(()) => Ok(data),
            Err(error) => Err(Error::invalid(format!(
                "input `{name}`: its data are not all of type {datatype}: {error}"
            ))),
        }
    }

    /// The values as raw bytes.
    pub fn to_raw(&self) -> Vec<u8> {
        match self {
            Self::Int64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::Fp32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::Fp64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::Bytes(values) => values
                .iter()
                // Every element was read from a request or is a name: far below 4 GiB.
                .flat_map(|v| {
                    u32::try_from(v.len())
                        .unwrap_or(u32::MAX)
                        .to_le_bytes()
                        .into_iter()
                        .chain(v.iter().copied())
                })
                .collect(),
        }
    }

    /// The values as one flat JSON list. Single-precision values print with the fewest digits.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Int64(values) => values.iter().map(|&v| Value::from(v)).collect(),
            Self::Fp32(values) => values.iter().map(|&v| Value::from(shortest(v))).collect(),
            Self::Fp64(values) => values.iter().map(|&v| Value::from(v)).collect(),
            Self::Bytes(values) => {
                values.iter().map(|v| Value::from(String::from_utf8_lossy(v).into_owned())).collect()
            }
        }
    }
}

/// A single-precision value as the double that prints with the fewest digits.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value)) // what `f32` prints always parses
}

/// Elements that say their length first, in four bytes.
fn with_lengths(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (value, rest) = rest.split_at_checked(length)?;
        values.push(value.to_vec());
        bytes = rest;
    }
    Some(values)
}

/// Reads lists in lists straight into the values, so that a large body is not held twice.
struct Filling<'a> {
    data: &'a mut Data,
}

impl<'de> DeserializeSeed<'de> for Filling<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Filling<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values in lists", self.data.datatype())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<(), A::Error> {
        // The reader itself stops at lists nested too deep.
        while items.next_element_seed(Filling { data: &mut *self.data })?.is_some() {}
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> std::result::Result<(), E> {
        match self.data {
            Data::Fp32(values) => values.push(value as f32),
            Data::Fp64(values) => values.push(value),
            _ => return Err(E::invalid_type(Unexpected::Float(value), &self)),
        }
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> std::result::Result<(), E> {
        match self.data {
            Data::Int64(values) => values.push(value),
            _ => return self.visit_f64(value as f64),
        }
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> std::result::Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> std::result::Result<(), E> {
        match self.data {
            Data::Int64(values) => values.push(i64::from(value)),
            _ => return Err(E::invalid_type(Unexpected::Bool(value), &self)),
        }
        Ok(())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> std::result::Result<(), E> {
        match self.data {
            Data::Bytes(values) => values.push(value.as_bytes().to_vec()),
            _ => return Err(E::invalid_type(Unexpected::Str(value), &self)),
        }
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> std::result::Result<(), E> {
        match self.data {
            Data::Fp32(values) => values.push(f32::NAN),
            Data::Fp64(values) => values.push(f64::NAN),
            _ => return Err(E::invalid_type(Unexpected::Unit, &self)),
        }
        Ok(())
    }
}

fn unknown_type(name: &str, datatype: &str) -> Error {
    let shown: String = datatype.chars().take(20).collect();
    Error::invalid(format!(
        "input `{name}`: the datatype `{shown}` is not read here: use BOOL, INT8 to INT64, UINT8 to UINT64, FP32, FP64 or BYTES"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn raw_values_come_back_as_they_went() {
        for data in [
            Data::Int64(vec![i64::MIN, -1, 0, 1_700_000_000]),
            Data::Fp32(vec![0.1, f32::NEG_INFINITY, -0.0]),
            Data::Fp64(vec![0.1, 1e300]),
            Data::Bytes(vec![b"district.load".to_vec(), Vec::new(), vec![0, 255]]),
        ] {
            assert_eq!(Data::from_raw("x", data.datatype(), &data.to_raw()).unwrap(), data);
        }
        assert_eq!(Data::from_raw("x", "INT8", &[255, 1]).unwrap(), Data::Int64(vec![-1, 1]));
        assert_eq!(Data::from_raw("x", "UINT16", &[1, 2]).unwrap(), Data::Int64(vec![513]));
    }

    #[test]
    fn broken_raw_values_are_told() {
        for (datatype, bytes) in [
            ("FP32", &[0_u8; 5][..]),
            ("INT64", &[0; 7]),
            ("BYTES", &[1, 0, 0]),
            ("BYTES", &[9, 0, 0, 0, b'a']),
            ("BYTES", &[255; 8]),
            ("FP16", &[0; 2]),
        ] {
            let told = Data::from_raw("x", datatype, bytes).unwrap_err().message;
            assert!(told.contains("`x`") && told.contains(datatype), "{told}");
        }
    }

    #[test]
    fn json_values_are_read_nested_or_flat() {
        let read = |datatype: &str, json: &str| {
            Data::from_json("x", datatype, &RawValue::from_string(json.to_owned()).unwrap())
        };
        let Data::Fp32(values) = read("FP32", "[[1.5, null], [2, -3.25]]").unwrap() else { panic!() };
        assert!(values[1].is_nan());
        assert_eq!((values[0], values[2], values[3]), (1.5, 2.0, -3.25));
        assert_eq!(read("BYTES", r#"["a"]"#).unwrap(), Data::Bytes(vec![b"a".to_vec()]));
        assert_eq!(read("BOOL", "[true, false]").unwrap(), Data::Int64(vec![1, 0]));
        for (datatype, json) in
            [("INT64", "[1.5]"), ("FP64", "[\"1\"]"), ("BYTES", "[1]"), ("FP32", "{}"), ("FP8", "[1]")]
        {
            let told = read(datatype, json).unwrap_err().message;
            assert!(told.contains("`x`") && told.contains(datatype), "{told}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(serde_json::from_str::<&RawValue>(&deep).is_err() || read("FP32", &deep).is_err());
        assert_eq!(Data::Fp32(vec![0.1]).to_json(), json!([0.1]));
    }

    #[test]
    fn shapes_hold_what_they_say() {
        assert_eq!(Tensor::new("x", &[2, 3], Data::Fp32(vec![0.0; 6])).unwrap().shape, [2, 3]);
        for shape in [&[2, 2][..], &[-1, 6], &[i64::MAX, i64::MAX], &[1; 9], &[1 << 33, 0]] {
            let refused = Tensor::new("x", shape, Data::Fp32(vec![0.0; 6])).is_err();
            assert!(refused, "{shape:?}");
        }
    }
}
