//! Reading XGBoost's models from a document, be it JSON or UBJSON.
//!
//! The layout is that of XGBoost's `doc/model.schema` and `RegTree::SaveModel`; decisions and sums are those of its
//! processor predictor, in 32 bits.

use super::forest::Forest;
use super::value::{At, Value, whole};
use super::xgboost_tree::read_tree;
use super::{Core, FEATURES_MAX, ForeignModel, Library, Link, OUTPUTS_MAX, Result};

/// Objectives that forecast a number, and what becomes of the sum.
const OBJECTIVES: [(&str, Link); 7] = [
    ("reg:squarederror", Link::Identity),
    ("reg:absoluteerror", Link::Identity),
    ("reg:pseudohubererror", Link::Identity),
    (QUANTILE, Link::Identity),
    ("reg:tweedie", Link::Exp),
    ("reg:gamma", Link::Exp),
    ("count:poisson", Link::Exp),
];
const QUANTILE: &str = "reg:quantileerror";

/// Reads a model.
pub(super) fn read(document: &Value) -> Result<ForeignModel> {
    let learner = At::root(document).get("learner")?;
    let (objective, link) = objective(&learner)?;
    let params = learner.get("learner_model_param")?;
    let levels = levels(&learner, &objective)?;
    let outputs = levels.len().max(1);
    check_outputs(&params, outputs)?;
    let count = params.get("num_feature")?;
    let features = count.count()?;
    if !(1..=FEATURES_MAX).contains(&features) {
        return Err(count.wrong(format!("{features} features; read are 1 to {FEATURES_MAX}")));
    }
    let base = base(&params, outputs, link)?;
    let booster = learner.get("gradient_booster")?;
    let kind = booster.get("name")?;
    let (core, used) = match kind.text()? {
        "gbtree" => trees(&booster.get("model")?, None, features, outputs)?,
        "dart" => {
            let weights = booster.get("weight_drop")?;
            trees(&booster.get("gbtree")?.get("model")?, Some(&weights), features, outputs)?
        }
        "gblinear" => linear(&booster.get("model")?, features, &base)?,
        other => return Err(kind.wrong(format!("`{other}` is none of gbtree, dart and gblinear"))),
    };
    let (core, base) = match core {
        // The bias follows the weights in the file and precedes them in the sum.
        Core::Linear(mut weights) => {
            let bias = weights.split_off(features * outputs);
            let base = base.iter().zip(&bias).map(|(base, bias)| f64::from(*base as f32 + bias)).collect();
            (Core::Linear(weights), base)
        }
        core => (core, base),
    };
    let names = names(&learner, features)?;
    Ok(ForeignModel {
        library: Library::XgBoost,
        objective,
        names,
        used,
        levels,
        core,
        base,
        single: true,
        divisor: 1.0,
        link,
    })
}

fn objective(learner: &At<'_>) -> Result<(String, Link)> {
    let name = learner.get("objective")?.get("name")?;
    let text = name.text()?;
    let Some(&(_, link)) = OBJECTIVES.iter().find(|(known, _)| *known == text) else {
        let known: Vec<&str> = OBJECTIVES.iter().map(|(name, _)| *name).collect();
        let text = super::text::shown(text);
        let what = format!(
            "the objective `{text}` forecasts no number that is read here; read are {}",
            known.join(", ")
        );
        return Err(name.wrong(what));
    };
    Ok((text.to_owned(), link))
}

/// Refuses classes and several targets; every quantile level is a target.
fn check_outputs(params: &At<'_>, outputs: usize) -> Result<()> {
    let classes = params.get("num_class")?;
    if classes.count()? > 1 {
        return Err(classes
            .wrong("the model answers several classes; a forecast needs one number: train a regression"));
    }
    let Some(targets) = params.find("num_target") else { return Ok(()) };
    let found = targets.count()?;
    if found.max(1) != outputs {
        let what = format!(
            "the model answers {found} targets where {outputs} were expected: train one target at a time"
        );
        return Err(targets.wrong(what));
    }
    Ok(())
}

/// The levels of a quantile objective, `[1E-1,5E-1]` or a single number as text.
fn levels(learner: &At<'_>, objective: &str) -> Result<Vec<f64>> {
    if objective != QUANTILE {
        return Ok(Vec::new());
    }
    let alpha = learner.get("objective")?.get("quantile_loss_param")?.get("quantile_alpha")?;
    let levels = numbers_in_text(&alpha)?;
    let inside = |level: &f64| *level > 0.0 && *level < 1.0;
    if levels.is_empty() || levels.len() > OUTPUTS_MAX || !levels.iter().all(inside) {
        return Err(
            alpha.wrong(format!("quantile levels lie between 0 and 1, and there are at most {OUTPUTS_MAX}"))
        );
    }
    // They were 32-bit floats: 0.1 is meant, not 0.10000000149.
    Ok(levels.iter().map(|level| (level * 1e6).round() / 1e6).collect())
}

/// Numbers written as a text: `5E-1` or `[1E-1,5E-1]`.
fn numbers_in_text(at: &At<'_>) -> Result<Vec<f64>> {
    let text = at.text()?.trim();
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if inner.trim().is_empty() {
        return Ok(Vec::new());
    }
    let read = |word: &str| {
        word.trim().parse().map_err(|_| at.wrong(format!("`{}` is no number", super::text::shown(word))))
    };
    inner.split(',').map(read).collect()
}

/// What each output's sum begins with; the file has it on the scale of the answer.
fn base(params: &At<'_>, outputs: usize, link: Link) -> Result<Vec<f64>> {
    let score = params.get("base_score")?;
    let mut base = numbers_in_text(&score)?;
    if base.len() == 1 {
        base = vec![base[0]; outputs];
    }
    if base.len() != outputs {
        return Err(score.wrong(format!("{} values for {outputs} outputs", base.len())));
    }
    for value in &mut base {
        let single = *value as f32;
        let sum = if link == Link::Exp { single.ln() } else { single };
        if !sum.is_finite() {
            return Err(score.wrong(format!("{single} is no value that the objective can begin with")));
        }
        *value = f64::from(sum);
    }
    Ok(base)
}

fn names(learner: &At<'_>, features: usize) -> Result<Vec<String>> {
    let Some(at) = learner.find("feature_names") else { return Ok(Vec::new()) };
    let list = at.list()?;
    if !list.is_empty() && list.len() != features {
        return Err(at.wrong(format!("{} names for {features} features", list.len())));
    }
    list.iter().map(|name| Ok(name.text()?.to_owned())).collect()
}

fn trees(
    model: &At<'_>,
    weights: Option<&At<'_>>,
    features: usize,
    outputs: usize,
) -> Result<(Core, Vec<bool>)> {
    check_categories(model)?;
    let list = model.get("trees")?;
    let trees = list.list()?;
    let info = model.get("tree_info")?;
    let outputs_of = info.numbers()?;
    let weights_of = weights.map(At::numbers).transpose()?;
    if trees.len() != outputs_of.len() || weights_of.is_some_and(|weights| weights.len() != trees.len()) {
        let what = format!("{} trees, but `tree_info` or `weight_drop` has another number", trees.len());
        return Err(list.wrong(what));
    }
    let mut forest = Forest::default();
    for (i, tree) in trees.iter().enumerate() {
        let output = whole(outputs_of[i]).filter(|output| *output < outputs);
        let output = output
            .ok_or_else(|| info.wrong(format!("tree {i} is for output {}, of {outputs}", outputs_of[i])))?;
        let weight = weights_of.map_or(1.0, |weights| weights[i] as f32);
        if !weight.is_finite() {
            return Err(list.wrong(format!("the weight of tree {i} is not finite")));
        }
        let raw = read_tree(tree, weight)?;
        forest.push(&raw, output as u32, features, &tree.place)?; // outputs are few
    }
    let used = forest.used(features);
    Ok((Core::Trees(forest), used))
}

/// Refuses models that translate categories from a data frame before they look at them.
fn check_categories(model: &At<'_>) -> Result<()> {
    let Some(coded) = model.find("cats").and_then(|cats| cats.find("enc")) else { return Ok(()) };
    let empty = |at: &At<'_>| matches!(at.value, Value::Numbers(list) if list.is_empty());
    if empty(&coded) {
        return Ok(());
    }
    Err(coded.wrong(
        "the model numbers categories by a table of its own: train on whole numbers 0, 1, 2, ... with \
         `feature_types` of `c` in a numpy array or `DMatrix` instead of a data frame's categories",
    ))
}

/// Weights of every feature, then the biases.
fn linear(model: &At<'_>, features: usize, base: &[f64]) -> Result<(Core, Vec<bool>)> {
    let outputs = base.len();
    let at = model.get("weights")?;
    let weights: Vec<f32> = at.numbers()?.iter().map(|weight| *weight as f32).collect();
    if weights.len() != (features + 1) * outputs || !weights.iter().all(|weight| weight.is_finite()) {
        let what = format!(
            "{} weights, {} finite ones were expected: one per feature and one more, for each of {outputs} outputs",
            weights.len(),
            (features + 1) * outputs
        );
        return Err(at.wrong(what));
    }
    let used = weights.chunks_exact(outputs).take(features).map(|w| w.iter().any(|w| *w != 0.0)).collect();
    Ok((Core::Linear(weights), used))
}
