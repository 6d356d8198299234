//! Foreign models: what the libraries answer is what we answer, and no damaged file does harm.
#![expect(clippy::unwrap_used, reason = "a test whose golden files are not as made must fail")]

use forewatt_model::foreign::{ForeignError, ForeignModel};
use proptest::prelude::*;
use serde_json::Value;

#[path = "foreign/case.rs"]
mod case;

macro_rules! golden {
    ($($name:literal . $ending:literal),* $(,)?) => {
        &[$((
            concat!($name, ".", $ending),
            include_bytes!(concat!("foreign/", $name, ".", $ending)).as_slice(),
            include_str!(concat!("foreign/", $name, ".answers.json")),
        )),*]
    };
}

/// Files that `foreign/make.py golden` made, with the libraries' answers.
const GOLDEN: &[(&str, &[u8], &str)] = golden!(
    "lightgbm_regression"."txt",
    "lightgbm_sqrt_zero_as_missing"."txt",
    "lightgbm_quantile_no_missing"."txt",
    "lightgbm_forest_l1"."txt",
    "lightgbm_tweedie"."txt",
    "xgboost_squared"."json",
    "xgboost_quantiles"."ubj",
    "xgboost_poisson_dart"."json",
    "xgboost_linear"."ubj",
);

#[test]
fn the_libraries_answers_are_ours() {
    for (name, file, answers) in GOLDEN {
        let model = ForeignModel::read(file).unwrap_or_else(|error| panic!("{name}: {error}"));
        let answers: Value = serde_json::from_str(answers).unwrap();
        let found = case::compare(&model, &answers);
        assert!(found.answers >= 20 && found.worst <= case::TOLERANCE, "{name}: {}", found.describe());
        // Sums are exact; an exponential may differ in its last place from one C library to the next.
        let by_exp = ["tweedie", "poisson"].iter().any(|objective| name.contains(objective));
        assert!(by_exp || found.exact == found.answers, "{name}: {}", found.describe());
        let levels: Vec<f64> = serde_json::from_value(answers["levels"].clone()).unwrap();
        assert_eq!(model.levels(), levels, "{name}");
    }
}

fn golden(name: &str) -> String {
    let (_, file, _) = GOLDEN.iter().find(|(known, ..)| *known == name).unwrap();
    String::from_utf8(file.to_vec()).unwrap()
}

fn refusal(file: &str) -> ForeignError {
    ForeignModel::read(file.as_bytes()).unwrap_err()
}

/// The golden file with one text in the place of another, which must be there.
fn with(name: &str, from: &str, to: &str) -> ForeignError {
    let file = golden(name);
    assert!(file.contains(from), "{from}");
    refusal(&file.replacen(from, to, 1))
}

#[test]
fn what_is_not_supported_in_lightgbm_files_is_refused_with_line_and_reason() {
    let name = "lightgbm_regression.txt";
    for (from, to, place, what) in [
        ("num_class=1", "num_class=3", "line 3", "classes"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=2", "line 4", "classes"),
        ("objective=regression", "objective=lambdarank", "line 7", "lambdarank"),
        ("version=v4", "version=v9", "line 2", "v9"),
        ("is_linear=0", "is_linear=1", "line ", "linear_tree=false"),
        ("num_leaves=5", "num_leaves=50", "line ", "leaf_value has 5 values, 50 were expected"),
        ("num_leaves=5", "num_leaves=-5", "line ", "num_leaves must be a number"),
        ("left_child=", "left_child=0 ", "line ", "left_child has"),
        ("Tree=1", "Tree=7", "line ", "tree 1 was expected"),
        ("end of trees", "end of tree", "line ", ""),
        ("leaf_value=", "leaf_value=x", "line ", "no such number"),
        ("pandas_categorical:null", "pandas_categorical:[[\"a\", \"b\"]]", "line ", "pandas"),
    ] {
        let error = with(name, from, to);
        assert!(error.place.starts_with(place) && error.what.contains(what), "{from} -> {to}: {error}");
    }
    assert!(refusal("tree\n").what.contains("version"));
    let cut = &golden(name)[..3000];
    assert!(refusal(cut).to_string().contains("cut off") || refusal(cut).place.starts_with("line"));
}

#[test]
fn a_loop_in_a_tree_is_refused() {
    let file = golden("lightgbm_regression.txt");
    let at = file.find("left_child=").unwrap();
    let end = at + file[at..].find('\n').unwrap();
    let children = file[at..end].matches(' ').count() + 1;
    let loops = format!("left_child={}", vec!["0"; children].join(" "));
    let error = refusal(&format!("{}{loops}{}", &file[..at], &file[end..]));
    assert!(error.what.contains("reached twice"), "{error}");
}

#[test]
fn what_is_not_supported_in_xgboost_files_is_refused_with_place_and_reason() {
    let name = "xgboost_squared.json";
    for (from, to, place, what) in [
        ("\"num_class\":\"0\"", "\"num_class\":\"3\"", "learner.learner_model_param.num_class", "classes"),
        ("reg:squarederror", "multi:softprob", "learner.objective.name", "multi:softprob"),
        ("\"num_target\":\"1\"", "\"num_target\":\"2\"", "learner.learner_model_param.num_target", "target"),
        ("\"size_leaf_vector\":\"1\"", "\"size_leaf_vector\":\"2\"", "trees[0].tree_param", "vectors"),
        ("\"enc\":[]", "\"enc\":[{}]", "model.cats.enc", "whole numbers"),
        ("\"left_children\":[", "\"left_children\":[0,", "trees[0].left_children", "values for"),
        ("\"name\":\"gbtree\"", "\"name\":\"forest\"", "learner.gradient_booster.name", "gbtree"),
        ("\"base_score\":\"[", "\"base_score\":\"[1,", "base_score", "2 values for 1"),
        ("{", "{ \"a\": ", "line 1 column", "not JSON"),
    ] {
        let error = with(name, from, to);
        assert!(error.place.contains(place) && error.what.contains(what), "{from} -> {to}: {error}");
    }
    assert!(refusal("{}").what.contains("missing"));
    let (_, ubj, _) = GOLDEN.iter().find(|(name, ..)| name.ends_with("ubj")).unwrap();
    let cut = ForeignModel::read(&ubj[..ubj.len() / 2]).unwrap_err();
    assert!(cut.place.starts_with("byte"), "{cut}");
    assert!(refusal("binf").what.contains("neither"));
}

#[test]
fn announced_sizes_take_no_memory() {
    // Lists and texts that would be exabytes long.
    for start in [
        &b"{L\x7f\xff\xff\xff\xff\xff\xff\xff"[..],
        b"{U\x01a[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"{U\x01a[#l\x7f\xff\xff\xffi",
    ] {
        assert!(ForeignModel::read(start).unwrap_err().place.starts_with("byte"));
    }
    let nested: Vec<u8> = std::iter::once(&b"{U\x01a"[..])
        .chain(std::iter::repeat_n(&b"["[..], 1 << 20))
        .flatten()
        .copied()
        .collect();
    assert!(ForeignModel::read(&nested).unwrap_err().what.contains("inside each other"));
    let error = with("lightgbm_regression.txt", "max_feature_idx=", "max_feature_idx=99999999999999999");
    assert!(error.what.contains("features"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Bytes changed, cut out and doubled: an error or a model that answers, never a panic.
    #[test]
    fn damaged_files_are_refused_or_answer(
        which in 0..GOLDEN.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..4), 1..6),
    ) {
        let mut file = GOLDEN[which].1.to_vec();
        for (at, byte, kind) in changes {
            let at = at.index(file.len());
            match kind {
                0 => file[at] = byte,
                1 => file[at] = b"0123456789-, []=."[usize::from(byte) % 17],
                2 => { file.drain(at..(at + usize::from(byte)).min(file.len())); }
                _ => { file.extend_from_within(at..(at + usize::from(byte)).min(file.len())); }
            }
            if file.is_empty() {
                file.push(byte);
            }
        }
        if let Ok(model) = ForeignModel::read(&file) {
            let width = model.used().len();
            let rows: Vec<f64> = (0..5 * width).map(|i| [f64::NAN, 0.0, -1.5, 3.0, 1e30][i % 5]).collect();
            model.answer(&rows, &mut vec![0.0; 5 * model.outputs()]);
        }
    }
}
