//! Inputs that only a regression which chooses among them is given: ramps, changes, splines, faster seasons.

use super::{Layout, PartKind, Role};

/// Cells of a day in the splines of a temperature.
const SPLINE_CELLS: usize = 4;
/// Where the splines of degree days bend again, in degC beyond the heating and the cooling threshold.
const KNOTS: [(&str, &[f32]); 2] = [("heating", &[4.0, 8.0, 12.0, 16.0]), ("cooling", &[3.0, 6.0, 9.0])];
/// No more candidates than this: first the splines are read in fewer cells a day, then what comes last is left out.
const CANDIDATES_MAX: usize = 480;
/// Harmonics of the year beyond the two that every learner has.
pub(super) const HARMONICS: [i32; 2] = [3, 4];

impl Layout {
    /// Adds all candidates; `aheads` are the parts that hold covariates known ahead for the day forecast.
    pub(super) fn add_candidates(&mut self, aheads: &[usize]) {
        let limit = self.inputs + CANDIDATES_MAX;
        let yesterday = self.parts.iter().position(|part| part.role == Role::Past(1));
        for &part in yesterday.iter().chain(aheads) {
            let count = self.parts[part].count;
            if count > 3 && self.inputs + count <= limit {
                self.add(Role::Candidate, PartKind::Ramp { part }, count - 1);
            }
        }
        if let (Some(sin), Some(cos)) = (self.column("day_of_year_sin"), self.column("day_of_year_cos")) {
            self.add(Role::Candidate, PartKind::Harmonics { sin, cos }, 2 * HARMONICS.len());
        }
        if self.per_day > 48
            && let Some(column) = self.column("last_known")
        {
            // Where inputs are means of several steps, the newest value is not among them.
            self.add(Role::Candidate, PartKind::Middle { column, day: 0 }, 1);
        }
        let bare = |name: &&String| name.starts_with("cov:") && name.ends_with(":day_before");
        let names: Vec<String> = self.columns.iter().filter(bare).cloned().collect();
        let names: Vec<&str> = names.iter().map(|name| name.trim_end_matches(":day_before")).collect();
        self.add_changes(&names, limit);
        self.add_splines(&names, limit);
    }

    /// How covariates change since the day before, hours in pairs.
    fn add_changes(&mut self, names: &[&str], limit: usize) {
        let bin = self.per_day.div_ceil(SPLINE_CELLS).min(2 * self.per_day.div_ceil(super::BINS_MAX));
        for name in names {
            if self.inputs + self.steps.div_ceil(bin) <= limit {
                self.add_course(Role::Candidate, &format!("{name}:day_change"), self.steps, bin);
            }
        }
    }

    /// Degree days beyond several thresholds, so that a line through them bends; and the mean of the last day, which
    /// walls remember.
    fn add_splines(&mut self, names: &[&str], limit: usize) {
        let temperatures: Vec<&str> =
            names.iter().copied().filter(|name| self.column(&format!("{name}:heating")).is_some()).collect();
        let curves = 1 + KNOTS.iter().map(|(_, knots)| knots.len()).sum::<usize>();
        let wanted = |cells: &usize| {
            let cells = self.steps.div_ceil(self.per_day.div_ceil(*cells));
            self.inputs + temperatures.len() * curves * cells <= limit
        };
        let cells = [SPLINE_CELLS, 2, 1].into_iter().find(wanted).unwrap_or(1);
        let bin = self.per_day.div_ceil(cells);
        let count = self.steps.div_ceil(bin);
        for name in temperatures {
            if self.inputs + curves * count > limit {
                return;
            }
            self.add_course(Role::Candidate, &format!("{name}:mean_24h"), self.steps, bin);
            for (degrees, knots) in KNOTS {
                let Some(column) = self.column(&format!("{name}:{degrees}")) else { continue };
                for &beyond in knots {
                    let kind = PartKind::Hinge { column, steps: self.steps, bin, beyond };
                    self.add(Role::Candidate, kind, count);
                }
            }
        }
    }
}

/// Differences of neighbouring values.
pub(super) fn ramp(course: &[f32], cells: &mut [f32]) {
    cells.iter_mut().zip(course.windows(2)).for_each(|(cell, pair)| *cell = pair[1] - pair[0]);
}

/// Sines and cosines of multiples of an angle whose own are given.
pub(super) fn harmonics(sin: f32, cos: f32, cells: &mut [f32]) {
    let angle = sin.atan2(cos);
    for (pair, harmonic) in cells.chunks_exact_mut(2).zip(HARMONICS) {
        let (sin, cos) = (angle * harmonic as f32).sin_cos();
        pair.copy_from_slice(&[sin, cos]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::days::frame::tests::matrix;

    const NAMES: [&str; 9] = [
        "lag_day_1",
        "cov:t",
        "cov:t:day_before",
        "cov:t:day_change",
        "cov:t:heating",
        "cov:t:cooling",
        "cov:t:mean_24h",
        "day_of_year_sin",
        "day_of_year_cos",
    ];

    #[test]
    fn candidates_follow_all_other_inputs_and_say_what_they_should() {
        let value = |column: usize, lead: usize| match NAMES[column] {
            "lag_day_1" => (lead * lead) as f32,
            "cov:t:heating" => 10.0,
            "cov:t:cooling" => lead as f32 / 2.0,
            "day_of_year_sin" => 0.5_f32.sin(),
            "day_of_year_cos" => 0.5_f32.cos(),
            _ => column as f32,
        };
        let rows = matrix(&NAMES, 24, 24, value);
        let layout = Layout::new(&rows).unwrap();
        assert!(layout.is_sound());
        let roles = layout.roles();
        let common = layout.common();
        assert!(roles[..common].iter().all(|role| *role != Role::Candidate));
        assert!(roles[common..].iter().all(|role| *role == Role::Candidate));
        let inputs = layout.read(&rows).unwrap().remove(0).inputs;
        let mut rest = &inputs[common..];
        let mut take = |count: usize| {
            let (now, later) = rest.split_at(count);
            rest = later;
            now.to_vec()
        };
        let ramp: Vec<f32> = (0..23).map(|i| (2 * i + 1) as f32).collect();
        assert_eq!(take(23), ramp, "of yesterday");
        assert_eq!(take(23), [0.0; 23], "of the covariate");
        let near = |a: Vec<f32>, b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near(take(4), &[1.5_f32.sin(), 1.5_f32.cos(), 2.0_f32.sin(), 2.0_f32.cos()]));
        assert_eq!(take(12), [3.0; 12], "the change");
        assert_eq!(take(4), [6.0; 4], "the mean of the last day");
        assert_eq!(take(8), [[6.0; 4], [2.0; 4]].concat(), "10 degrees below the threshold, bent at 4 and 8");
        assert_eq!(take(8), [0.0; 8], "they do not reach 12 and 16");
        // The last six hours are 9 to 11.5 degrees above the threshold.
        assert_eq!(take(12)[3..4], [7.25]);
        assert!(rest.is_empty());
    }

    #[test]
    fn there_is_a_limit_on_candidates() {
        let temperatures = 40;
        let mut names = vec!["lag_day_1".to_owned()];
        for t in 0..temperatures {
            let ends = ["", ":day_before", ":day_change", ":heating", ":cooling", ":mean_24h"];
            names.extend(ends.map(|end| format!("cov:t{t}{end}")));
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let layout = Layout::new(&matrix(&names, 24, 24, |_, _| 1.0)).unwrap();
        let candidates = layout.inputs() - layout.common();
        assert!(candidates > CANDIDATES_MAX / 2 && candidates <= CANDIDATES_MAX + 4, "{candidates}");
    }
}
