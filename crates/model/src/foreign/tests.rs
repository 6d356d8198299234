//! The walk through trees made by hand: equality with thresholds, missing values, sets, order of sums.

use super::forest::{Forest, Missing, RawTree, Rule, Split};
use super::*;
use crate::foreign::xgboost_tree::read_tree;

/// A tree with one split, left 1 and right 2.
fn stump(rule: Rule, default_left: bool) -> RawTree {
    let split = Split { feature: 0, rule, default_left, left: !0, right: !1 };
    RawTree { splits: vec![split], leaves: vec![1.0, 2.0], sets: vec![3, 40] }
}

fn ask(tree: &RawTree, values: &[f64]) -> Vec<f64> {
    let mut forest = Forest::default();
    forest.push(tree, 0, 1, "test").unwrap();
    let mut sums = vec![0.0; values.len()];
    forest.add(values, 1, false, 1, &mut sums);
    sums
}

#[test]
fn missing_values_go_where_their_kind_says() {
    let up_to = |missing| Rule::UpTo { threshold: -1.0, missing };
    let values = [f64::NAN, 0.0, 1e-36, -1.0, -2.0, 1.0];
    // NaN is zero and goes right, like zero.
    assert_eq!(ask(&stump(up_to(Missing::None), true), &values), [2.0, 2.0, 2.0, 1.0, 1.0, 2.0]);
    assert_eq!(ask(&stump(up_to(Missing::Zero), true), &values), [1.0, 1.0, 1.0, 1.0, 1.0, 2.0]);
    assert_eq!(ask(&stump(up_to(Missing::Nan), true), &values), [1.0, 2.0, 2.0, 1.0, 1.0, 2.0]);
    assert_eq!(ask(&stump(up_to(Missing::Nan), false), &values), [2.0, 2.0, 2.0, 1.0, 1.0, 2.0]);
}

#[test]
fn categories_are_looked_up_whole() {
    let set = |rounds_up| Rule::In { from: 0, len: 2, rounds_up };
    let values = [3.0, 3.9, 40.0, 0.0, -3.0, 1e30, f64::INFINITY, f64::NAN];
    assert_eq!(ask(&stump(set(true), false), &values), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
    assert_eq!(ask(&stump(set(false), true), &values)[7], 1.0);
    let zero = RawTree { sets: vec![0, 1], ..stump(set(true), false) };
    assert_eq!(ask(&zero, &[-0.5, -1.0]), [1.0, 2.0]);
    let zero = RawTree { sets: vec![0, 1], ..stump(set(false), false) };
    assert_eq!(ask(&zero, &[-0.5, 0.5]), [2.0, 1.0]);
}

#[test]
fn a_strict_threshold_sends_equal_values_right() {
    let text = r#"{"tree_param": {"num_nodes": "3"}, "left_children": [1, -1, -1], "right_children": [2, -1, -1],
        "split_indices": [0, 0, 0], "split_conditions": [0.1, 1, 2], "default_left": [true, false, false]}"#;
    let document = json::read(text.as_bytes()).unwrap();
    let tree = read_tree(&value::At::root(&document), 1.0).unwrap();
    let threshold = 0.1_f32;
    let values = [threshold, threshold.next_down(), threshold.next_up(), f32::NAN].map(f64::from);
    assert_eq!(ask(&tree, &values), [2.0, 1.0, 2.0, 1.0]);
}

#[test]
fn sums_of_32_bits_are_rounded_tree_by_tree() {
    let mut forest = Forest::default();
    for leaf in [1.0, f64::from(f32::EPSILON) / 2.0, f64::from(f32::EPSILON) / 2.0] {
        forest.push(&RawTree { leaves: vec![leaf], ..RawTree::default() }, 0, 1, "test").unwrap();
    }
    let sum = |single| {
        let mut sums = [0.0];
        forest.add(&[0.0], 1, single, 1, &mut sums);
        sums[0]
    };
    assert_eq!((sum(true), sum(false)), (1.0, 1.0 + f64::from(f32::EPSILON)));
}

#[test]
fn trees_that_are_none_are_refused() {
    let push = |tree: &RawTree| Forest::default().push(tree, 0, 1, "here").map_err(|error| error.to_string());
    let rule = Rule::UpTo { threshold: 0.0, missing: Missing::Nan };
    let mut tree = stump(rule, false);
    assert_eq!(push(&tree), Ok(()));
    tree.splits[0].right = !2;
    assert_eq!(push(&tree).unwrap_err(), "here: there is no leaf 2");
    tree.splits[0].right = 1;
    assert_eq!(push(&tree).unwrap_err(), "here: there is no split 1");
    tree.splits[0] = Split { feature: 1, right: !1, ..tree.splits[0] };
    assert!(push(&tree).unwrap_err().contains("asks feature 1"));
    let chain = |length: i32| RawTree {
        splits: (0..length)
            .map(|i| Split {
                feature: 0,
                rule,
                default_left: false,
                left: !0,
                right: if i + 1 < length { i + 1 } else { !0 },
            })
            .collect(),
        leaves: vec![0.0],
        sets: Vec::new(),
    };
    assert_eq!(push(&chain(DEPTH_MAX as i32)), Ok(()));
    assert!(push(&chain(DEPTH_MAX as i32 + 1)).unwrap_err().contains("at depth"));
}

#[test]
fn json_is_read_as_xgboost_writes_it() {
    let read = |text: &str| json::read(text.as_bytes()).map_err(|error| error.to_string());
    let value = read(
        r#" {"a\u00e4\n\"": [1, -2.5E-1, NaN, -Infinity, true], "b": [null, {}], "c": "x\ud83d\ude00"} "#,
    )
    .unwrap();
    let Some(value::Value::Numbers(numbers)) = value.find("aä\n\"") else { panic!("{value:?}") };
    assert!(
        numbers[2].is_nan()
            && numbers[3] == f64::NEG_INFINITY
            && numbers[..2] == [1.0, -0.25]
            && numbers[4] == 1.0
    );
    assert_eq!(value.find("c"), Some(&value::Value::Text("x😀".to_owned())));
    for (wrong, place) in [
        ("", "line 1 column 1"),
        ("{\n  \"a\" 1}", "line 2 column 7"),
        ("[1 2]", "line 1 column 4"),
        ("{\"a\": 1,}", "line 1 column 9"),
        ("\"a", "line 1 column 3"),
        ("\"\\ud800\"", "line 1 column 8"),
        ("[1e]", "line 1 column 2"),
        ("1 1", "line 1 column 3"),
        ("\"\u{7}\"", "line 1 column 2"),
    ] {
        let error = read(wrong).unwrap_err();
        assert!(error.starts_with(&format!("{place}: ")), "{wrong:?}: {error}");
    }
    assert!(read(&"[".repeat(1 << 20)).unwrap_err().contains("inside each other"));
}
