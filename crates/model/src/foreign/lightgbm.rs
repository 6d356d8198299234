//! Reading LightGBM's text models, formats v3 and v4.
//!
//! The format is that of `GBDT::SaveModelToString` and `Tree::ToString`; decisions are those of
//! `Tree::NumericalDecision` and `Tree::CategoricalDecision` in LightGBM 4.

use super::forest::{Forest, Missing, RawTree, Rule, Split, ZERO};
use super::text::{Block, Line, shown};
use super::{CATEGORIES_MAX, Core, FEATURES_MAX, ForeignError, ForeignModel, Library, Link, Result};

/// Objectives that forecast a number, and what becomes of the sum.
const OBJECTIVES: [(&str, Link); 9] = [
    ("regression", Link::Identity),
    ("regression_l1", Link::Identity),
    ("huber", Link::Identity),
    ("fair", Link::Identity),
    ("quantile", Link::Identity),
    ("mape", Link::Identity),
    ("poisson", Link::Exp),
    ("tweedie", Link::Exp),
    ("gamma", Link::Exp),
];

/// Reads a model.
pub(super) fn read(bytes: &[u8]) -> Result<ForeignModel> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
        ForeignError::new(format_args!("line {line}"), "the file is not UTF-8 text: copy it again")
    })?;
    let mut lines = text.lines().enumerate().map(|(i, text)| Line { number: i + 1, text: text.trim_end() });
    let header = Header::read(&mut lines)?;
    let mut forest = Forest::default();
    let mut block: Option<(Line<'_>, Block<'_>)> = None;
    let mut ended = false;
    for line in lines.by_ref() {
        ended = line.text == "end of trees";
        if !ended && !line.text.starts_with("Tree=") {
            if !line.text.is_empty() {
                let inside = block.as_mut().ok_or_else(|| line.wrong("`Tree=0` was expected here"))?;
                inside.1.push(line)?;
            }
            continue;
        }
        if let Some((start, block)) = block.take() {
            push_tree(&mut forest, start, &block, &header)?;
        }
        if ended {
            break;
        }
        if line.split().1.one::<usize>("the tree's number")? != forest.trees() {
            return Err(line.wrong(format!("tree {} was expected here", forest.trees())));
        }
        block = Some((line, Block::default()));
    }
    if !ended || forest.trees() == 0 {
        let what = "the trees do not end with `end of trees`, or there are none: the file is cut off";
        return Err(ForeignError::new("end of the file", what));
    }
    let tail = Tail::read(lines)?;
    header.model(forest, &tail)
}

/// What stands before the trees.
struct Header {
    names: Vec<String>,
    objective: String,
    link: Link,
    averages: bool,
}

impl Header {
    fn read<'a>(lines: &mut impl Iterator<Item = Line<'a>>) -> Result<Self> {
        let start = Line { number: 1, text: "" };
        let mut block = Block::default();
        // The header ends at the first empty line, before the first tree.
        for line in lines.by_ref().take_while(|line| !line.text.is_empty()) {
            block.push(line)?;
        }
        let version = block.get("version", start)?;
        if !matches!(version.text, "v3" | "v4") {
            let what = format!(
                "the format is `{}`; read are v3 and v4: save it with LightGBM 3 or 4",
                shown(version.text)
            );
            return Err(version.wrong(what));
        }
        for key in ["num_class", "num_tree_per_iteration"] {
            let line = block.get(key, start)?;
            if line.one::<usize>(key)? != 1 {
                let what =
                    "the model answers several classes; a forecast needs one number: train a regression";
                return Err(line.wrong(what));
            }
        }
        let last = block.get("max_feature_idx", start)?;
        let features = last.one::<usize>("max_feature_idx")?.saturating_add(1);
        if features > FEATURES_MAX {
            return Err(last.wrong(format!("{features} features are more than the {FEATURES_MAX} allowed")));
        }
        let names = block.get("feature_names", start)?.many(features, "feature_names")?;
        let (objective, link) = objective(block.find("objective"))?;
        Ok(Self { names, objective, link, averages: block.find("average_output").is_some() })
    }

    fn model(self, forest: Forest, tail: &Tail) -> Result<ForeignModel> {
        let levels = match (self.objective.as_str(), tail.alpha) {
            ("quantile", None) => {
                let what = "the objective is `quantile`, but no line `[alpha: ...]` says which: save the whole model";
                return Err(ForeignError::new("end of the file", what));
            }
            ("quantile", Some(alpha)) => vec![alpha],
            _ => Vec::new(),
        };
        Ok(ForeignModel {
            library: Library::LightGbm,
            used: forest.used(self.names.len()),
            divisor: if self.averages { forest.trees() as f64 } else { 1.0 },
            objective: self.objective,
            names: self.names,
            levels,
            core: Core::Trees(forest),
            base: vec![0.0],
            single: false,
            link: self.link,
        })
    }
}

/// The objective and its link. A model trained with a function of one's own names none: its sum is the answer.
fn objective(line: Option<Line<'_>>) -> Result<(String, Link)> {
    let Some(line) = line else { return Ok(("custom".to_owned(), Link::Identity)) };
    let mut words = line.text.split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    if name == "custom" {
        return Ok((name.to_owned(), Link::Identity));
    }
    let Some(&(_, link)) = OBJECTIVES.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = OBJECTIVES.iter().map(|(name, _)| *name).collect();
        let what =
            format!("the objective `{}` forecasts no number; read are {}", shown(name), known.join(", "));
        return Err(line.wrong(what));
    };
    match (name, words.next()) {
        ("regression", Some("sqrt")) => Ok((name.to_owned(), Link::SignedSquare)),
        _ => Ok((name.to_owned(), link)),
    }
}

/// What stands after the trees: parameters, and how pandas coded categories.
#[derive(Debug, Default)]
struct Tail {
    alpha: Option<f64>,
}

impl Tail {
    fn read<'a>(lines: impl Iterator<Item = Line<'a>>) -> Result<Self> {
        let mut tail = Self::default();
        for line in lines {
            if let Some(alpha) = line.text.strip_prefix("[alpha:").and_then(|rest| rest.strip_suffix(']')) {
                let alpha: f64 = Line { text: alpha, ..line }.one("alpha")?;
                if !(alpha > 0.0 && alpha < 1.0) {
                    continue; // only quantiles need one, and they say so
                }
                tail.alpha = Some(alpha);
            }
            if let Some(coded) = line.text.strip_prefix("pandas_categorical:") {
                check_categories(Line { text: coded, ..line })?;
            }
        }
        Ok(tail)
    }
}

/// Refuses categories that pandas numbered otherwise than by their own values.
fn check_categories(line: Line<'_>) -> Result<()> {
    let lists: Option<Vec<Vec<serde_json::Value>>> =
        serde_json::from_str(line.text).map_err(|error| line.wrong(format!("this is not JSON ({error})")))?;
    let same =
        |list: &Vec<serde_json::Value>| list.iter().enumerate().all(|(i, v)| v.as_f64() == Some(i as f64));
    if lists.unwrap_or_default().iter().all(same) {
        return Ok(());
    }
    Err(line.wrong(
        "pandas numbered the categories of a column, and the numbers are not the values: make the column one of the \
         whole numbers 0, 1, 2, ... (or pass the values and `categorical_feature`), and train again",
    ))
}

const CATEGORY: u8 = 1;
const DEFAULT_LEFT: u8 = 2;

fn push_tree(forest: &mut Forest, start: Line<'_>, block: &Block<'_>, header: &Header) -> Result<()> {
    let leaves: usize = block.get("num_leaves", start)?.one("num_leaves")?;
    if let Some(line) = block.find("is_linear")
        && line.text != "0"
    {
        return Err(
            line.wrong("trees with linear models in their leaves are not read: train with linear_tree=false")
        );
    }
    let values = block.get("leaf_value", start)?;
    let mut tree = RawTree { leaves: values.many(leaves, "leaf_value")?, ..RawTree::default() };
    if leaves == 0 || tree.leaves.iter().any(|leaf: &f64| !leaf.is_finite()) {
        return Err(values.wrong("a tree needs leaves, and each a finite number"));
    }
    if leaves > 1 {
        read_splits(&mut tree, leaves - 1, start, block)?;
    }
    let place = format!("line {}", start.number);
    forest.push(&tree, 0, header.names.len(), &place)
}

fn read_splits(tree: &mut RawTree, count: usize, start: Line<'_>, block: &Block<'_>) -> Result<()> {
    let line = |key| block.get(key, start);
    let features: Vec<u32> = line("split_feature")?.many(count, "split_feature")?;
    let thresholds: Vec<f64> = line("threshold")?.many(count, "threshold")?;
    let decisions: Vec<u8> = line("decision_type")?.many(count, "decision_type")?;
    let lefts: Vec<i32> = line("left_child")?.many(count, "left_child")?;
    let rights: Vec<i32> = line("right_child")?.many(count, "right_child")?;
    let sets = read_sets(tree, start, block)?;
    for (i, &decision) in decisions.iter().enumerate() {
        let rule = if decision & CATEGORY != 0 {
            let set = super::value::whole(thresholds[i]).and_then(|at| sets.get(at));
            let &(from, len) = set.ok_or_else(|| {
                start.wrong(format!(
                    "split {i} of this tree asks for set {} of categories, which is not there",
                    thresholds[i]
                ))
            })?;
            Rule::In { from, len, rounds_up: true }
        } else {
            let missing = match decision >> 2 & 3 {
                0 => Missing::None,
                1 => Missing::Zero,
                2 => Missing::Nan,
                _ => return Err(line("decision_type")?.wrong(format!("{decision} is no kind of decision"))),
            };
            Rule::UpTo { threshold: threshold(thresholds[i], i, line("threshold")?)?, missing }
        };
        // A missing category is in no set, whatever the flag says.
        let default_left = decision & (DEFAULT_LEFT | CATEGORY) == DEFAULT_LEFT;
        let (left, right) = (lefts[i], rights[i]);
        tree.splits.push(Split { feature: features[i], rule, default_left, left, right });
    }
    Ok(())
}

/// A threshold. LightGBM takes features up to [`ZERO`] for zero, and a threshold can say the same: what lies between
/// the two zeros goes where zero goes.
fn threshold(value: f64, split: usize, line: Line<'_>) -> Result<f64> {
    if (0.0..=ZERO).contains(&value) {
        return Ok(ZERO);
    }
    if (-ZERO..0.0).contains(&value) {
        return Ok((-ZERO).next_down());
    }
    if value.is_nan() {
        Err(line.wrong(format!("the threshold of split {split} is not a number")))
    } else {
        Ok(value)
    }
}

/// The sets of categories, as ranges of [`RawTree::sets`]; the file has them as bits of 32-bit words.
fn read_sets(tree: &mut RawTree, start: Line<'_>, block: &Block<'_>) -> Result<Vec<(u32, u32)>> {
    let count: usize = block.get("num_cat", start)?.one("num_cat")?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let bounds_line = block.get("cat_boundaries", start)?;
    let bounds: Vec<usize> = bounds_line.many(count.saturating_add(1), "cat_boundaries")?;
    let words: Vec<u32> =
        block.get("cat_threshold", start)?.many(bounds.last().copied().unwrap_or(0), "cat_threshold")?;
    if bounds[0] != 0 || !bounds.is_sorted() {
        return Err(bounds_line.wrong("the bounds of the sets must rise from 0"));
    }
    let mut sets = Vec::with_capacity(count);
    for pair in bounds.windows(2) {
        let from = tree.sets.len() as u32; // below 2^25
        if tree.sets.len() > CATEGORIES_MAX {
            return Err(bounds_line.wrong(format!("the sets have more than {CATEGORIES_MAX} categories")));
        }
        for (i, word) in words[pair[0]..pair[1]].iter().enumerate() {
            let bits = (0..32_u32).filter(|bit| word >> bit & 1 == 1);
            tree.sets.extend(bits.map(|bit| i as u32 * 32 + bit));
        }
        sets.push((from, tree.sets.len() as u32 - from));
    }
    Ok(sets)
}
