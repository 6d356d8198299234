//! Day-ahead electricity prices: Lago et al., Applied Energy 293 (2021), and the same data as fev-bench asks.

use super::data::{DAY, Source, Table, rfc3339, seconds};
use super::exe::Forecasts;
use super::metrics::{
    self, Metrics, coverage, diebold_mariano, mae, mean, means, medians, mse, named, seasonal_error,
};
use super::task::{Input, Part, words};

/// Days of the test set.
const TEST_DAYS: usize = 728;
/// Hours left out of the ratio to the naive forecast, which has no earlier test week to repeat.
const FIRST_WEEK_HOURS: usize = 168;
/// Windows of fev-bench, one a day at the end.
const WINDOWS: usize = 20;
/// Levels that fev-bench scores.
const FEV_LEVELS: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// A market.
#[derive(Debug)]
pub struct Market {
    /// The data.
    pub file: &'static str,
    /// The forecasts published with the benchmark.
    pub reference: &'static str,
}

/// Nord Pool.
pub const NP: Market = Market { file: "epf_np.csv.gz", reference: "epf_np_reference_forecasts.csv.gz" };
/// PJM.
pub const PJM: Market = Market { file: "epf_pjm.csv.gz", reference: "epf_pjm_reference_forecasts.csv.gz" };

/// What every forecast of the market is compared with.
struct Test {
    /// All prices, hour by hour.
    prices: Vec<f64>,
    /// Seconds of the first price.
    start: i64,
    /// Place of the first price of the test.
    from: usize,
    /// Forecasts to compare with, over the last 728 days.
    references: Vec<(&'static str, Vec<f64>)>,
}

/// The one backtest of a market.
///
/// # Errors
/// When the data are missing or not as expected.
pub fn parts(market: &Market, source: &Source) -> anyhow::Result<Vec<Part>> {
    let table = source.read(market.file)?;
    let prices = table.numbers("price")?;
    let utc = jiff::tz::TimeZone::UTC;
    let [times] = table.columns(["local_time"])?;
    let days = if source.quick { WINDOWS + 8 } else { TEST_DAYS };
    anyhow::ensure!(prices.len() > (TEST_DAYS + 8) * 24, "{} is too short", market.file);
    let from = prices.len() - days * 24;
    let references = references(&source.read(market.reference)?)?;
    let test = Test { start: seconds(times[0], &utc)?, from, references, prices };
    let begin = test.start + from as i64 * 3_600;
    let span = format!("--from {} --to {}", rfc3339(begin)?, rfc3339(begin + days as i64 * DAY)?);
    let arguments = words(&format!(
        "--time local_time --time-zone UTC --target price --kind price --known-ahead exogenous_1,exogenous_2 \
         {span} --every 24h --horizon 24h --refit 24h \
         --quantiles 0.05,0.1,0.2,0.25,0.3,0.4,0.5,0.6,0.7,0.75,0.8,0.9,0.95"
    ));
    let anchors = test.anchors();
    Ok(vec![Part {
        name: "all".to_owned(),
        input: Input::File(source.folder.join(market.file)),
        arguments,
        score: Box::new(move |forecasts| test.score(forecasts)),
        anchors,
    }])
}

fn references(table: &Table) -> anyhow::Result<Vec<(&'static str, Vec<f64>)>> {
    let (lear, dnn) = (table.numbers("LEAR Ensemble")?, table.numbers("DNN Ensemble")?);
    anyhow::ensure!(lear.len() == TEST_DAYS * 24, "the published forecasts cover {} hours", lear.len());
    let average = lear.iter().zip(&dnn).map(|(a, b)| f64::midpoint(*a, *b)).collect();
    Ok(vec![("LEAR ensemble", lear), ("DNN ensemble", dnn), ("their average", average)])
}

impl Test {
    fn actual(&self) -> &[f64] {
        &self.prices[self.from..]
    }

    /// What was so many hours before each hour of the test.
    fn naive(&self, hours: usize) -> &[f64] {
        &self.prices[self.from - hours..self.prices.len() - hours]
    }

    /// The part of a published forecast that lies in the test.
    fn reference<'a>(&self, forecast: &'a [f64]) -> &'a [f64] {
        &forecast[forecast.len() - self.actual().len()..]
    }

    fn anchors(&self) -> Vec<(String, Metrics)> {
        let naives =
            [168, 24].map(|hours| (format!("naive {hours} h"), self.point_scores(self.naive(hours))));
        let published = self
            .references
            .iter()
            .map(|(name, forecast)| ((*name).to_owned(), self.point_scores(self.reference(forecast))));
        naives.into_iter().chain(published).collect()
    }

    /// The scores of one value an hour.
    fn point_scores(&self, forecast: &[f64]) -> Metrics {
        let pairs = || self.actual().iter().copied().zip(forecast.iter().copied());
        let later = |forecast: &[f64]| {
            mae(self.actual().iter().copied().zip(forecast.iter().copied()).skip(FIRST_WEEK_HOURS))
        };
        let rmae = later(forecast) / later(self.naive(168));
        let mut scores = named(&[
            ("rows", forecast.len() as f64),
            ("MAE", mae(pairs())),
            ("RMSE", mse(pairs()).sqrt()),
            ("rMAE", rmae),
            (
                "MASE",
                self.windows(|hour, scale| (self.prices[hour] - forecast[hour - self.from]).abs() / scale),
            ),
        ]);
        scores.extend(self.comparisons(forecast));
        scores
    }

    /// p-values on daily losses against each published forecast.
    fn comparisons(&self, forecast: &[f64]) -> Metrics {
        let daily = |forecast: &[f64]| -> Vec<f64> {
            let days = self.actual().chunks(24).zip(forecast.chunks(24));
            days.map(|(a, f)| mae(a.iter().copied().zip(f.iter().copied()))).collect()
        };
        let ours = daily(forecast);
        let compare = |(name, published): &(&str, Vec<f64>)| {
            let p = diebold_mariano(&ours, &daily(self.reference(published)));
            (format!("p {name}"), p)
        };
        self.references.iter().map(compare).filter(|(_, p)| p.is_finite()).collect()
    }

    /// The mean over the windows of fev-bench of a loss by hour, given the window's seasonal error.
    fn windows(&self, loss: impl Fn(usize, f64) -> f64) -> f64 {
        let window = |w: usize| {
            let cutoff = self.prices.len() - 24 * (WINDOWS - w);
            let scale = seasonal_error(&self.prices[..cutoff], 24);
            mean((cutoff..cutoff + 24).map(|hour| loss(hour, scale)))
        };
        mean((0..WINDOWS).map(window))
    }

    fn score(&self, forecasts: &Forecasts) -> Metrics {
        let in_order = forecasts
            .rows
            .iter()
            .enumerate()
            .all(|(i, row)| row.valid == self.start + (self.from + i) as i64 * 3_600);
        if !in_order || forecasts.rows.len() != self.actual().len() {
            // Rows that are not those of the published forecasts cannot be compared with them.
            return Metrics::new();
        }
        let point: Vec<f64> = means(forecasts).map(|(_, forecast)| forecast).collect();
        let median: Vec<f64> = medians(forecasts).map(|(_, forecast)| forecast).collect();
        let mut scores = self.point_scores(&point);
        let medians_mase =
            self.windows(|hour, scale| (self.prices[hour] - median[hour - self.from]).abs() / scale);
        scores.extend(named(&[
            ("MAE of medians", mae(medians(forecasts))),
            ("in 50 %", coverage(forecasts, 50.0)),
            ("in 80 %", coverage(forecasts, 80.0)),
            ("in 90 %", coverage(forecasts, 90.0)),
            ("MASE", medians_mase),
            ("SQL", self.scaled_quantile_loss(forecasts)),
        ]));
        scores
    }

    fn scaled_quantile_loss(&self, forecasts: &Forecasts) -> f64 {
        let places: Option<Vec<usize>> =
            FEV_LEVELS.iter().map(|level| metrics::place_of(forecasts, *level)).collect();
        let Some(places) = places else { return f64::NAN };
        self.windows(|hour, scale| {
            let row = &forecasts.rows[hour - self.from];
            let quantiles: Vec<f64> = places.iter().map(|&place| row.quantiles[place]).collect();
            2.0 * metrics::pinball_of(&FEV_LEVELS, &quantiles, self.prices[hour]) / scale
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::exe::Row;
    use super::*;

    /// Forty days of a price that rises by one an hour, the last thirty tested.
    fn rising() -> Test {
        let prices: Vec<f64> = (0..40 * 24).map(f64::from).collect();
        let published = prices[10 * 24..].iter().map(|p| p + 12.0).collect();
        Test { start: 0, from: 10 * 24, references: vec![("x", published)], prices }
    }

    fn forecasts(test: &Test, error: impl Fn(usize) -> f64) -> Forecasts {
        let row = |(i, actual): (usize, &f64)| {
            let valid = (test.from + i) as i64 * 3_600;
            let value = actual + error(i);
            Row { start: 0, valid, actual: *actual, mean: value, quantiles: vec![value; 9] }
        };
        let rows = test.actual().iter().enumerate().map(row).collect();
        Forecasts { levels: FEV_LEVELS.to_vec(), rows }
    }

    #[test]
    fn scores_by_hand() {
        let test = rising();
        // The naive forecast of a week is wrong by 168, of a day by 24: the seasonal error.
        let scores = test.score(&forecasts(&test, |_| 12.0));
        for (name, value) in
            [("MAE", 12.0), ("RMSE", 12.0), ("rMAE", 12.0 / 168.0), ("MASE", 0.5), ("SQL", 0.5)]
        {
            assert!((scores[name] - value).abs() < 1e-9, "{name} {}", scores[name]);
        }
        let anchors = test.anchors();
        assert_eq!((anchors[0].0.as_str(), anchors[0].1["MAE"]), ("naive 168 h", 168.0));
        assert_eq!((anchors[1].1["MAE"], anchors[1].1["MASE"], anchors[2].1["MAE"]), (24.0, 1.0, 12.0));
    }

    #[test]
    fn the_first_week_counts_in_the_error_but_not_in_the_ratio() {
        let test = rising();
        let scores = test.score(&forecasts(&test, |i| if i < FIRST_WEEK_HOURS { 100.0 } else { 0.0 }));
        assert!(scores["MAE"] > 20.0);
        assert_eq!(scores["rMAE"], 0.0);
    }

    #[test]
    fn a_better_forecast_is_told_from_the_published() {
        let test = rising();
        let scores = test.score(&forecasts(&test, |i| (i % 5) as f64));
        assert!(scores["p x"] < 1e-6);
        assert!(!test.score(&forecasts(&test, |_| 12.0)).contains_key("p x"), "equal losses decide nothing");
    }

    #[test]
    fn other_rows_have_no_scores() {
        let test = rising();
        let mut moved = forecasts(&test, |_| 0.0);
        moved.rows.remove(0);
        assert!(test.score(&moved).is_empty());
    }
}
