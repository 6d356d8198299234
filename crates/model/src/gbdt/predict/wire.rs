//! How a forest is written, and how forests of format 1 are still read.

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::binning::Feature;
use super::node::{Node, Plain};
use super::pack::{Group, Packed, Precision, is_step};
use super::{Forest, MeanRule, Stored};

/// Steps between the first and the last cut of a feature where cuts are kept coarsely.
const CUT_STEPS: f32 = 65_535.0;

/// What is written beside the packed trees.
#[derive(Serialize, Deserialize)]
struct Head {
    levels: Vec<f64>,
    knots: Vec<usize>,
    names: Vec<String>,
    cuts: Vec<Cuts>,
    center: f64,
    scale: f64,
    start: Vec<f32>,
    width: f32,
    mean: MeanRule,
    precision: Precision,
    wide: bool,
    groups: Vec<Group>,
}

/// The cuts of a feature.
#[derive(Serialize, Deserialize)]
enum Cuts {
    Exact(Vec<f32>),
    /// From the first on, in steps of a unit.
    Steps {
        first: f32,
        unit: f32,
        steps: Vec<u16>,
    },
}

impl Cuts {
    /// Cuts that [`coarse`] has moved are kept as steps.
    fn new(cuts: &[f32]) -> Self {
        let steps = || {
            let (&first, &last) = (cuts.first()?, cuts.last()?);
            let unit = (last - first) / CUT_STEPS;
            let step = |cut: f32| ((cut - first) / unit).round();
            let steps: Vec<u16> = cuts.windows(2).map(|w| (step(w[1]) - step(w[0])) as u16).collect();
            let cuts_again = Self::Steps { first, unit, steps };
            (cuts_again.values() == cuts).then_some(cuts_again)
        };
        steps().unwrap_or_else(|| Self::Exact(cuts.to_vec()))
    }

    fn values(&self) -> Vec<f32> {
        match self {
            Self::Exact(cuts) => cuts.clone(),
            Self::Steps { first, unit, steps } => {
                let sums = steps.iter().scan(0_u32, |sum, &step| {
                    *sum = sum.saturating_add(step.into());
                    Some(*sum)
                });
                std::iter::once(0).chain(sums).map(|sum| first + sum as f32 * unit).collect()
            }
        }
    }
}

/// Moves cuts to multiples of a 65,535th of their range, where they can be told apart then.
pub(super) fn coarse(cuts: &[f32]) -> Vec<f32> {
    let (Some(&first), Some(&last)) = (cuts.first(), cuts.last()) else { return Vec::new() };
    let unit = (last - first) / CUT_STEPS;
    let mut moved: Vec<f32> = cuts.iter().map(|cut| first + ((cut - first) / unit).round() * unit).collect();
    // The unit is found again from the last cut.
    for _ in 0..3 {
        let unit = (moved[moved.len() - 1] - first) / CUT_STEPS;
        moved.iter_mut().for_each(|cut| *cut = first + ((*cut - first) / unit).round() * unit);
    }
    let usable = moved.iter().all(|cut| cut.is_finite()) && moved.windows(2).all(|w| w[0] < w[1]);
    if usable { moved } else { cuts.to_vec() }
}

/// Bytes that formats write as such.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// As [`Bytes`], read.
struct Owned(Vec<u8>);

impl<'de> Deserialize<'de> for Owned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ForBytes;
        impl<'de> Visitor<'de> for ForBytes {
            type Value = Owned;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the bytes of a forest")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Owned, E> {
                Ok(Owned(bytes.to_vec()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Owned, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = items.next_element()? {
                    bytes.push(byte);
                }
                Ok(Owned(bytes))
            }
        }
        deserializer.deserialize_bytes(ForBytes)
    }
}

impl Serialize for Forest {
    /// No levels, which no forest of format 1 can have; the head; the packed trees.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = &self.stored;
        let head = Head {
            levels: stored.levels.clone(),
            knots: stored.knots.clone(),
            names: stored.features.iter().map(|feature| feature.name.clone()).collect(),
            cuts: stored.features.iter().map(|feature| Cuts::new(&feature.cuts)).collect(),
            center: stored.center,
            scale: stored.scale,
            start: stored.start.clone(),
            width: stored.width,
            mean: stored.mean,
            precision: self.packed.precision,
            wide: self.packed.wide,
            groups: self.packed.places.iter().map(|place| place.group).collect(),
        };
        let mut parts = serializer.serialize_tuple(3)?;
        parts.serialize_element::<[f64]>(&[])?;
        parts.serialize_element(&head)?;
        parts.serialize_element(&Bytes(self.packed.bytes()))?;
        parts.end()
    }
}

impl<'de> Deserialize<'de> for Forest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(FIELDS_OF_1, ForForest)
    }
}

struct ForForest;

impl<'de> Visitor<'de> for ForForest {
    type Value = Forest;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a forest")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Forest, A::Error> {
        let levels: Vec<f64> = next(&mut parts)?;
        if !levels.is_empty() {
            return format_1(levels, parts);
        }
        let head: Head = next(&mut parts)?;
        let Owned(bytes) = next(&mut parts)?;
        if head.names.len() != head.cuts.len() {
            return Err(A::Error::custom("the forest's features have other cuts than names"));
        }
        let pairs = head.names.into_iter().zip(&head.cuts);
        let stored = Stored {
            levels: head.levels,
            knots: head.knots,
            features: pairs.map(|(name, cuts)| Feature { name, cuts: cuts.values() }).collect(),
            center: head.center,
            scale: head.scale,
            start: head.start,
            width: head.width,
            mean: head.mean,
            trees: Vec::new(),
        };
        let packed =
            Packed::read(&bytes, &head.groups, head.precision, head.wide).map_err(A::Error::custom)?;
        Forest::checked(stored, packed).map_err(A::Error::custom)
    }
}

fn next<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(parts: &mut A) -> Result<T, A::Error> {
    parts.next_element()?.ok_or_else(|| A::Error::custom("the forest is cut off"))
}

/// The fields of a forest of format 1, each written after the other.
const FIELDS_OF_1: usize = 11;

/// Where a tree of format 1 lies in its vectors.
#[derive(Deserialize)]
struct Span {
    first_node: u32,
    nodes: u16,
    first_leaf: u32,
    leaves: u16,
    unit: f32,
}

/// A forest of format 1, whose levels have been read: nodes of eight bytes, leaves of sixteen bits.
fn format_1<'de, A: SeqAccess<'de>>(levels: Vec<f64>, mut parts: A) -> Result<Forest, A::Error> {
    let mut stored = Stored {
        levels,
        knots: next(&mut parts)?,
        features: next(&mut parts)?,
        center: next(&mut parts)?,
        scale: next(&mut parts)?,
        start: next(&mut parts)?,
        width: next(&mut parts)?,
        mean: next(&mut parts)?,
        trees: Vec::new(),
    };
    let spans: Vec<Span> = next(&mut parts)?;
    let nodes: Vec<Node> = next(&mut parts)?;
    let leaves: Vec<i16> = next(&mut parts)?;
    stored.check().map_err(A::Error::custom)?;
    let knots = stored.knots.len();
    let mut from = (0, 0);
    for (i, span) in spans.iter().enumerate() {
        let to = (from.0 + usize::from(span.nodes), from.1 + usize::from(span.leaves));
        if (span.first_node as usize, span.first_leaf as usize) != from {
            return Err(A::Error::custom(format!("tree {i} of the forest is not where it should be")));
        }
        let nodes = nodes.get(from.0..to.0);
        let steps = leaves.get(from.1 * knots..to.1 * knots);
        from = to;
        let (Some(nodes), Some(steps)) = (nodes, steps) else {
            return Err(A::Error::custom(format!("tree {i} of the forest is cut off")));
        };
        let values: Vec<f32> = steps.iter().map(|&step| f32::from(step) * span.unit).collect();
        let tree = Plain::from_nodes(nodes, &values, knots).map_err(A::Error::custom)?;
        if !values.iter().all(|&value| is_step(value)) {
            return Err(A::Error::custom(format!("tree {i} of the forest has values that are not numbers")));
        }
        stored.trees.push(tree);
    }
    if from.0 != nodes.len() || from.1 * knots != leaves.len() {
        return Err(A::Error::custom("the forest's trees do not add up"));
    }
    // Sixteen bits hold what sixteen bits said.
    let packed = Packed::new(&stored.trees, knots, Precision::I16);
    stored.trees.clear();
    Forest::checked(stored, packed).map_err(A::Error::custom)
}
