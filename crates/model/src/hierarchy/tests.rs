//! Tests of reconciliation: against a closed form computed elsewhere, coherence, and that it helps.

use proptest::prelude::*;

use super::*;

/// Root 0 of 1 and 2; 1 of 3 and 4; 2 of 5, 6 and 7.
fn tree() -> Tree {
    Tree::new(&[None, Some(0), Some(0), Some(1), Some(1), Some(2), Some(2), Some(2)]).unwrap()
}

const BASE: [f64; 8] = [100.0, 48.0, 57.0, 20.0, 25.0, 11.0, 30.0, 18.0];

/// Errors with a common shock, from a generator that other languages can repeat.
fn errors(rows: usize) -> Errors {
    let mut state = 12_345_u64;
    let mut next = || {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        state as f64 / f64::from(1_u32 << 31) - 0.5
    };
    let row = |_| {
        let noise: Vec<f64> = (0..8).map(|_| next()).collect();
        let mut all = vec![0.0; 8];
        for (leaf, scale) in [1.0, 2.0, 0.5, 3.0, 1.5].into_iter().enumerate() {
            all[3 + leaf] = noise[3 + leaf] * scale + noise[0];
        }
        tree().sum_up(&mut all);
        all[0] += 2.0 * noise[0];
        all[1] += noise[1];
        all[2] += noise[2];
        all
    };
    Errors::new(8, &(0..rows).map(row).collect::<Vec<_>>()).unwrap()
}

fn reconciled(method: Method, errors: Option<&Errors>) -> Vec<f64> {
    let reconciler = Reconciler::new(&tree(), method, errors).unwrap();
    let mut values = BASE.to_vec();
    reconciler.apply(&mut values, &BASE).unwrap();
    values
}

fn close(found: &[f64], expected: &[f64]) {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9;
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(near),
        "{found:?} beside {expected:?}"
    );
}

fn add_up(tree: &Tree, values: &[f64]) {
    for &node in tree.inner() {
        let sum: f64 = tree.children(node).iter().map(|&child| values[child]).sum();
        assert_eq!(values[node].to_bits(), sum.to_bits(), "node {node} of {values:?}");
    }
}

/// Every figure is `S (S' W^-1 S)^-1 S' W^-1 y` by numpy 2 in double precision, from the same generator.
#[test]
fn every_method_equals_the_dense_closed_form() {
    let errors = errors(30);
    let covariance = errors.shrunk_covariance().unwrap();
    assert!((covariance.shrinkage - 0.110_818_699_947_321_06).abs() < 1e-12, "{}", covariance.shrinkage);
    close(&errors.variances().unwrap()[..2], &[6.372_502_558_432_443, 0.698_923_324_399_849_2]);
    close(
        &reconciled(Method::Mint, Some(&errors)),
        &[
            105.825_328_348_614_11,
            46.556_927_090_718_76,
            59.268_401_257_895_36,
            20.866_008_908_293_434,
            25.690_918_182_425_325,
            11.333_625_651_787_806,
            29.951_436_147_493_24,
            17.983_339_458_614_317,
        ],
    );
    close(
        &reconciled(Method::Wls, Some(&errors)),
        &[
            103.796_025_637_537_45,
            46.096_491_857_432_52,
            57.699_533_780_104_94,
            20.377_773_408_790_36,
            25.718_718_448_642_157,
            10.903_623_842_375_206,
            29.115_468_155_503_113,
            17.680_441_782_226_62,
        ],
    );
    let thirds = [10.366_666_666_666_667, 29.366_666_666_666_664, 17.366_666_666_666_667];
    close(
        &reconciled(Method::WlsStructural, None),
        &[103.0, 45.9, 57.1, 20.45, 25.45, thirds[0], thirds[1], thirds[2]],
    );
    close(
        &reconciled(Method::Ols, None),
        &[
            101.862_068_965_517_22,
            45.758_620_689_655_174,
            56.103_448_275_862_064,
            20.379_310_344_827_587,
            25.379_310_344_827_587,
            10.034_482_758_620_689,
            29.034_482_758_620_687,
            17.034_482_758_620_687,
        ],
    );
    close(&reconciled(Method::BottomUp, None), &[104.0, 45.0, 59.0, 20.0, 25.0, 11.0, 30.0, 18.0]);
    // 100 as 48 : 57; then as 20 : 25 and 11 : 30 : 18.
    let (left, right) = (100.0 * 48.0 / 105.0, 100.0 * 57.0 / 105.0);
    let right_parts = [11.0, 30.0, 18.0].map(|part| right * part / 59.0);
    let left_parts = [left * 20.0 / 45.0, left * 25.0 / 45.0];
    let all = [&[100.0, left, right], &left_parts[..], &right_parts[..]].concat();
    close(&reconciled(Method::TopDown, None), &all);
}

#[test]
fn the_summing_matrix_is_read_off_the_tree() {
    let rows = tree().summing_matrix();
    assert_eq!(rows[0], [1.0; 5]);
    assert_eq!(rows[1], [1.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(rows[6], [0.0, 0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn mint_is_wls_where_errors_have_nothing_in_common() {
    // Columns of a Hadamard matrix: every two are orthogonal, so every correlation is zero.
    let sign =
        |row: usize, node: usize| if (row & (node + 1)).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
    let rows: Vec<Vec<f64>> =
        (0..32).map(|row| (0..8).map(|node| sign(row, node) * (node + 1) as f64).collect()).collect();
    let errors = Errors::new(8, &rows).unwrap();
    close(&reconciled(Method::Mint, Some(&errors)), &reconciled(Method::Wls, Some(&errors)));
}

#[test]
fn what_cannot_be_reconciled_says_why() {
    assert_eq!(Tree::new(&[None]), Err(HierarchyError::Empty { nodes: 1 }));
    assert_eq!(Tree::new(&[None, None]), Err(HierarchyError::NotATree { node: 1 }));
    assert_eq!(Tree::new(&[None, Some(2), Some(1)]), Err(HierarchyError::NotATree { node: 1 }));
    let many: Vec<Option<usize>> = (0..=NODES_MAX).map(|node| (node > 0).then_some(0)).collect();
    assert_eq!(Tree::new(&many), Err(HierarchyError::TooMany { nodes: NODES_MAX + 1 }));
    let few = Reconciler::new(&tree(), Method::Mint, Some(&errors(29)));
    assert_eq!(few, Err(HierarchyError::TooFewErrors { rows: 29, nodes: 8, needed: 30 }));
    assert!(Reconciler::new(&tree(), Method::Wls, None).is_err());
    let still = Errors::new(8, &vec![vec![0.0; 8]; 40]).unwrap();
    assert_eq!(Reconciler::new(&tree(), Method::Mint, Some(&still)), Err(HierarchyError::NoSpread));
    assert_eq!(Errors::new(2, &[vec![1.0]]), Err(HierarchyError::Shape { expected: 2, found: 1 }));
    assert_eq!(Errors::new(2, &[vec![1.0, f64::NAN]]), Err(HierarchyError::NotFinite { node: 1 }));
    let ready = Reconciler::new(&tree(), Method::Ols, None).unwrap();
    assert!(ready.apply(&mut [1.0; 3], &BASE).is_err());
    let mut lost = BASE.to_vec();
    lost[4] = f64::NAN;
    assert_eq!(ready.apply(&mut lost, &BASE), Err(HierarchyError::NotFinite { node: 4 }));
    assert!("mnit".parse::<Method>().unwrap_err().to_string().contains("mint"));
}

#[test]
fn errors_that_add_up_already_are_no_obstacle() {
    // Every parent's error is the sum of its children's: before shrinkage the system is singular.
    let rows: Vec<Vec<f64>> = (0..40)
        .map(|row| {
            let mut all: Vec<f64> = (0..8).map(|node| ((row * 7 + node * 13) % 11) as f64 - 5.0).collect();
            tree().sum_up(&mut all);
            all
        })
        .collect();
    let errors = Errors::new(8, &rows).unwrap();
    let found = reconciled(Method::Mint, Some(&errors));
    add_up(&tree(), &found);
    assert!(found.iter().all(|v| v.is_finite() && v.abs() < 1e3), "{found:?}");
}

#[test]
fn clipping_keeps_the_total_and_the_sums() {
    let mut values = [0.0, 0.0, 0.0, -2.0, 6.0, 3.0, -1.0, 4.0];
    tree().sum_up(&mut values);
    tree().clip(&mut values);
    add_up(&tree(), &values);
    // 10 in all; 13 of it positive.
    close(&values, &[10.0, 60.0 / 13.0, 70.0 / 13.0, 0.0, 60.0 / 13.0, 30.0 / 13.0, 0.0, 40.0 / 13.0]);
    let mut sunk = [0.0, 0.0, 0.0, -2.0, 1.0, 0.0, 0.0, 0.0];
    tree().sum_up(&mut sunk);
    tree().clip(&mut sunk);
    close(&sunk, &[0.0; 8]);
}

/// Noise of mean 0 and about unit spread, the same everywhere.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        let mut uniform = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..12).map(|_| uniform()).sum::<f64>() - 6.0
    }
}

/// Forecast errors of a synthetic hierarchy: each node is told with its own noise; a shock is common to all.
fn told(noise: &mut Noise) -> (Vec<f64>, Vec<f64>) {
    let tree = tree();
    let mut truth: Vec<f64> = (0..8).map(|node| 10.0 + node as f64 + noise.next()).collect();
    tree.sum_up(&mut truth);
    let shock = noise.next();
    let spread = [2.0, 2.0, 2.0, 1.0, 3.0, 0.5, 1.0, 2.0];
    let base = truth.iter().zip(spread).map(|(y, spread)| y + shock * 0.5 + spread * noise.next());
    (base.collect(), truth)
}

#[test]
fn reconciled_forecasts_are_nearer_on_a_synthetic_hierarchy() {
    let mut noise = Noise(7);
    let past: Vec<Vec<f64>> = (0..300)
        .map(|_| {
            let (base, truth) = told(&mut noise);
            truth.iter().zip(base).map(|(y, f)| y - f).collect()
        })
        .collect();
    let errors = Errors::new(8, &past).unwrap();
    let future: Vec<(Vec<f64>, Vec<f64>)> = (0..500).map(|_| told(&mut noise)).collect();
    let mae = |method: Option<Method>| {
        let ready = method.map(|m| Reconciler::new(&tree(), m, Some(&errors)).unwrap());
        let error = |(base, truth): &(Vec<f64>, Vec<f64>)| {
            let mut values = base.clone();
            if let Some(ready) = &ready {
                ready.apply(&mut values, base).unwrap();
            }
            values.iter().zip(truth).map(|(f, y)| (f - y).abs()).sum::<f64>()
        };
        future.iter().map(error).sum::<f64>() / (500.0 * 8.0)
    };
    let base = mae(None);
    let [ols, wls, mint] = [Method::Ols, Method::Wls, Method::Mint].map(|m| mae(Some(m)));
    assert!(ols < base && wls < base && mint <= wls, "base {base}, ols {ols}, wls {wls}, mint {mint}");
    assert!(mint < 0.85 * base, "base {base}, mint {mint}");
}

/// Quantiles of a normal with this mean and spread at the deciles.
fn normal(mean: f64, spread: f64) -> Vec<f32> {
    [-1.2816, -0.8416, -0.5244, -0.2533, 0.0, 0.2533, 0.5244, 0.8416, 1.2816]
        .map(|z| (mean + spread * z) as f32)
        .to_vec()
}

const DECILES: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

#[test]
fn a_sum_of_parts_that_err_together_is_wider_than_of_parts_that_do_not() {
    let tree = Tree::new(&[None, Some(0), Some(0)]).unwrap();
    let quantiles = [normal(20.0, 9.0), normal(10.0, 3.0), normal(10.0, 3.0)];
    let base = BaseStep {
        means: vec![20.0, 10.0, 10.0],
        quantiles: quantiles.iter().map(Vec::as_slice).collect(),
        levels: &DECILES,
    };
    let bottom_up = Reconciler::new(&tree, Method::BottomUp, None).unwrap();
    let mut noise = Noise(3);
    let together: Vec<Vec<f64>> = (0..300).map(|_| vec![noise.next(); 3]).collect();
    let apart: Vec<Vec<f64>> = (0..300).map(|_| (0..3).map(|_| noise.next()).collect()).collect();
    let width = |rows: &[Vec<f64>]| {
        let copula = Copula::new(&Errors::new(3, rows).unwrap(), 1);
        let step = reconcile_step(&bottom_up, &copula, &base, &[0.1, 0.9], false).unwrap();
        step.quantiles[0][1] - step.quantiles[0][0]
    };
    // Together the spreads add: 6; apart their squares do: 4.24. Twice 1.2816 of it lies between the levels.
    let (wide, narrow) = (width(&together), width(&apart));
    assert!((wide - 2.0 * 1.2816 * 6.0).abs() < 0.3, "{wide}");
    assert!((narrow - 2.0 * 1.2816 * 4.24).abs() < 1.5, "{narrow}");
}

#[test]
fn top_down_keeps_the_spread_between_siblings() {
    let tree = Tree::new(&[None, Some(0), Some(0)]).unwrap();
    let top_down = Reconciler::new(&tree, Method::TopDown, None).unwrap();
    let means = [20.0, 5.0, 5.0];
    let mut sample = [30.0, 2.0, 8.0];
    top_down.apply(&mut sample, &means).unwrap();
    close(&sample, &[30.0, 6.0, 24.0]);
    let mut cancelling = [30.0, 5.0, -5.0];
    top_down.apply(&mut cancelling, &means).unwrap();
    close(&cancelling, &[30.0, 15.0, 15.0]);
    let mut nothing = [30.0, 0.0, 0.0];
    top_down.apply(&mut nothing, &[20.0, 0.0, 0.0]).unwrap();
    close(&nothing, &[30.0, 15.0, 15.0]);
}

#[test]
fn a_leaf_left_alone_keeps_its_quantiles_and_equal_seeds_agree() {
    let quantiles: Vec<Vec<f32>> = BASE.iter().map(|&mean| normal(mean, 2.0)).collect();
    let base = BaseStep {
        means: BASE.to_vec(),
        quantiles: quantiles.iter().map(Vec::as_slice).collect(),
        levels: &DECILES,
    };
    let ready = Reconciler::new(&tree(), Method::BottomUp, None).unwrap();
    let past = errors(250);
    let step = |seed| reconcile_step(&ready, &Copula::new(&past, seed), &base, &DECILES, false).unwrap();
    let first = step(1);
    assert_eq!(first, step(1));
    for (found, &given) in first.quantiles[4].iter().zip(&quantiles[4]) {
        assert!((found - f64::from(given)).abs() < 0.02, "{found} {given}");
    }
    add_up(&tree(), &first.means);
    assert_eq!(Copula::new(&errors(30), 1).samples(), 210, "few errors are used several times");
    assert_eq!(Copula::new(&errors(900), 1).samples(), 500);
    assert_eq!(Copula::new(&Errors::new(8, &[]).unwrap(), 1).samples(), 200, "none are as good as unrelated");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever the base forecasts: means add up to the last bit, quantiles do not cross, nothing is below zero.
    #[test]
    fn means_add_up_and_quantiles_never_cross(
        means in prop::collection::vec(0.0_f64..1e4, 8),
        spread in prop::collection::vec(0.0_f64..1e4, 8),
        which in 0_usize..6,
        seed in 0_u64..100,
    ) {
        let errors = errors(40);
        let ready = Reconciler::new(&tree(), Method::ALL[which], Some(&errors)).unwrap();
        let quantiles: Vec<Vec<f32>> =
            means.iter().zip(&spread).map(|(&m, &s)| normal(m, s).into_iter().map(|q| q.max(0.0)).collect()).collect();
        let base = BaseStep {
            means,
            quantiles: quantiles.iter().map(Vec::as_slice).collect(),
            levels: &DECILES,
        };
        let wanted = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999];
        let step = reconcile_step(&ready, &Copula::new(&errors, seed), &base, &wanted, true).unwrap();
        add_up(&tree(), &step.means);
        prop_assert!(step.means.iter().all(|m| m.is_finite() && *m >= 0.0));
        for quantiles in &step.quantiles {
            prop_assert!(quantiles.iter().all(|q| q.is_finite() && *q >= 0.0));
            prop_assert!(quantiles.is_sorted());
        }
    }
}
