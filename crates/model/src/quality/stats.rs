//! Robust statistics on scratch buffers.

/// Makes the median absolute deviation of a normal variable its standard deviation.
pub(super) const MAD_TO_SIGMA: f64 = 1.4826;

/// The `q`-quantile (nearest rank) of the finite values; `None` when there are none. Reorders the slice.
pub(super) fn quantile(values: &mut Vec<f64>, q: f64) -> Option<f64> {
    values.retain(|v| v.is_finite());
    let last = values.len().checked_sub(1)?;
    let at = ((last as f64 * q).round() as usize).min(last);
    Some(*values.select_nth_unstable_by(at, f64::total_cmp).1)
}

/// The median; `None` without finite values.
pub(super) fn median(values: &mut Vec<f64>) -> Option<f64> {
    quantile(values, 0.5)
}

/// The robust standard deviation around zero; 0 without values.
pub(super) fn scale_around_zero(values: impl Iterator<Item = f64>) -> f64 {
    let mut absolute: Vec<f64> = values.map(f64::abs).collect();
    median(&mut absolute).unwrap_or(0.0) * MAD_TO_SIGMA
}

/// Pearson's correlation; 0 when one side does not vary.
pub(super) fn correlation(a: impl Iterator<Item = f64> + Clone, b: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = a.clone().count().max(1) as f64;
    let (mean_a, mean_b) = (a.clone().sum::<f64>() / n, b.clone().sum::<f64>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.zip(b) {
        let (x, y) = (x - mean_a, y - mean_b);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    let scale = (aa * bb).sqrt();
    if scale > 0.0 { ab / scale } else { 0.0 }
}

/// A number for people: four figures.
pub(super) fn figure(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals = if size >= 1000.0 {
        0
    } else if size >= 10.0 {
        1
    } else {
        3
    };
    format!("{value:.decimals$}")
}
