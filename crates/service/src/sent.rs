//! Forecasts of series that come with the question: nothing is stored, a quick family is fitted on the fly.

use forewatt_domain::{
    Covariate, Family, Horizon, Observation, QuantileLevels, Recipe, Resolution, Series, SeriesKind,
    SeriesName, Time, TimeGrid, Zone,
};
use forewatt_model::baseline::season_steps;
use forewatt_model::dataset::{Column, CovariateColumn, Dataset};
use forewatt_model::features::{self, FeatureSpec};
use forewatt_model::learn;
use forewatt_model::predict::{ModelError, Predict as _, Predictions};
use tokio::sync::Semaphore;

use crate::error::{Error, ErrorKind, Result};
use crate::train::{origin_every, training_rows};
use crate::{Service, answer, blocking};

/// Variables of one series: each is learned from itself and the past of the others.
pub const VARIABLES_MAX: usize = 16;
/// About how many rows one fit reads: a second of work.
const ROWS_MAX: usize = 20_000;
/// Fits at once in this process; the others wait inside their deadline.
const FITS_MAX: usize = 2;
static FITS: Semaphore = Semaphore::const_new(FITS_MAX);

/// How a sent series repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Steps of a minute to a day: days, weeks and their times are known.
    Clock(Resolution),
    /// Any other step: only how many of them make a season.
    Season(usize),
}

/// Which quick family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quick {
    /// `linear`, and what needs less where there is too little for it.
    Auto,
    /// Regression per time of day.
    Linear,
    /// Quantiles of like days.
    SeasonalEmpirical,
    /// The value a season ago, with the spread of past changes.
    SeasonalSteps,
}

impl Quick {
    /// Every family with the word that names it.
    pub const ALL: [(&'static str, Self); 4] = [
        ("auto", Self::Auto),
        ("linear", Self::Linear),
        ("seasonal-empirical", Self::SeasonalEmpirical),
        (season_steps::NAME, Self::SeasonalSteps),
    ];

    /// By its word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == word).map(|&(_, family)| family)
    }

    /// What is tried, in order.
    const fn ladder(self, pace: Pace) -> &'static [Self] {
        match (self, pace) {
            (Self::Auto, Pace::Clock(_)) => &[Self::Linear, Self::SeasonalEmpirical, Self::SeasonalSteps],
            (Self::Auto | Self::SeasonalSteps, _) => &[Self::SeasonalSteps],
            (Self::Linear, _) => &[Self::Linear],
            (Self::SeasonalEmpirical, _) => &[Self::SeasonalEmpirical],
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Linear => "linear",
            Self::SeasonalEmpirical => "seasonal-empirical",
            Self::SeasonalSteps => season_steps::NAME,
        }
    }
}

/// A series with its question.
#[derive(Debug, Clone, PartialEq)]
pub struct SentSeries {
    /// One list a variable, all of the same length; NaN where a value is not known.
    pub variables: Vec<Vec<f64>>,
    /// The start of the first period.
    pub start: Time,
    /// How it repeats.
    pub pace: Pace,
    /// The clocks its people live by.
    pub zone: Zone,
    /// Steps to foretell.
    pub horizon: u32,
    /// Quantile levels.
    pub levels: QuantileLevels,
    /// Which family.
    pub family: Quick,
}

/// The forecast of one variable.
#[derive(Debug, Clone, PartialEq)]
pub struct SentForecast {
    /// Which family answered.
    pub family: &'static str,
    /// One expected value a step.
    pub mean: Vec<f64>,
    /// One list a level, a value a step.
    pub quantiles: Vec<Vec<f64>>,
    /// What a reader must know: which family was tried in vain, what the fit says of itself.
    pub notes: Vec<String>,
}

impl Service {
    /// Foretells a series that came with the question, variable by variable.
    ///
    /// # Errors
    /// `InvalidInput` for lists of unlike length, none, or values that are no numbers a model reads; `TooLarge` beyond
    /// `limits.write_points_max` values or [`VARIABLES_MAX`] variables; `InsufficientData`.
    pub async fn forecast_sent(&self, sent: SentSeries) -> Result<Vec<SentForecast>> {
        check(&sent, self.config.limits.write_points_max)?;
        // Never closed, so this waits and cannot fail.
        let _place = FITS.acquire().await.map_err(|error| Error::internal(error.to_string()))?;
        blocking(move || (0..sent.variables.len()).map(|variable| foretell(&sent, variable)).collect())
            .await?
    }
}

fn check(sent: &SentSeries, values_max: usize) -> Result<()> {
    let (count, length) = (sent.variables.len(), sent.variables.first().map_or(0, Vec::len));
    if length == 0 {
        return Err(Error::invalid("the series is empty: send the values known so far"));
    }
    if count > VARIABLES_MAX || count * length > values_max {
        let message = format!(
            "{count} variables of {length} values: the limits are {VARIABLES_MAX} variables and {values_max} values"
        );
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    if sent.variables.iter().any(|values| values.len() != length) {
        return Err(Error::invalid("the steps have unlike numbers of variables: send as many at every step"));
    }
    if sent.horizon == 0 || sent.horizon > Horizon::MAX_STEPS {
        let message =
            format!("the horizon of {} steps is out of range: 1 to {}", sent.horizon, Horizon::MAX_STEPS);
        return Err(Error::invalid(message));
    }
    let answered = sent.horizon as usize * count * sent.levels.len();
    if answered > values_max {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("the answer would hold {answered} quantiles, the limit is {values_max}"),
        ));
    }
    Ok(())
}

/// Tries one family after the other; the answer names the one that could.
fn foretell(sent: &SentSeries, variable: usize) -> Result<SentForecast> {
    let mut notes = Vec::new();
    for &family in sent.family.ladder(sent.pace) {
        match attempt(sent, variable, family) {
            Ok((said, told)) => {
                notes.extend(told);
                return Ok(dressed(&said, family, notes));
            }
            Err(error) if error.kind == ErrorKind::InsufficientData => {
                notes.push(format!("{} could not answer: {error}", family.word()));
            }
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(ErrorKind::InsufficientData, notes.join("; ")))
}

fn attempt(sent: &SentSeries, variable: usize, family: Quick) -> Result<(Predictions, Vec<String>)> {
    let learned = match family {
        Quick::Linear => Family::Linear,
        Quick::SeasonalEmpirical => Family::SeasonalEmpirical,
        Quick::Auto | Quick::SeasonalSteps => {
            let values: Vec<f32> = sent.variables[variable].iter().map(|&value| value as f32).collect();
            let season = match sent.pace {
                Pace::Clock(step) => step.steps_per_day().max(if step.steps_per_day() == 1 { 7 } else { 1 }),
                Pace::Season(steps) => steps,
            };
            let season = if values.len() < 2 * season { 1 } else { season };
            let said = season_steps::foretell(&values, season, sent.horizon as usize, &sent.levels)?;
            return Ok((said, vec![format!("a season of {season} steps")]));
        }
    };
    let Pace::Clock(step) = sent.pace else {
        let message = format!(
            "`{}` needs steps of a minute to a day that divide the day: choose `{}` or `auto`",
            family.word(),
            season_steps::NAME
        );
        return Err(Error::invalid(message));
    };
    fitted(sent, variable, learned, step)
}

/// Learns a family on what was sent and asks it for the time after.
fn fitted(
    sent: &SentSeries,
    variable: usize,
    family: Family,
    step: Resolution,
) -> Result<(Predictions, Vec<String>)> {
    let horizon = Horizon::from_steps(sent.horizon, step)?;
    let dataset = dataset(sent, variable, step)?;
    let length = sent.variables[variable].len();
    let end = sent.start.plus_micros(length as i64 * step.micros());
    let covariates = |c: &CovariateColumn| Covariate { series: c.series.name.clone(), known_ahead: false };
    let recipe = Recipe {
        target: dataset.series.name.clone(),
        family,
        covariates: dataset.covariates.iter().map(covariates).collect(),
        resolution: step,
        horizon,
        // A model needs levels on both sides of the middle; others are read between and beyond them.
        levels: QuantileLevels::deciles(),
        origin_every_steps: origin_every(length as i64, horizon, step, ROWS_MAX),
        daily: false,
        any_hour: true,
        training_days: None,
        non_negative: false,
        choice: Default::default(),
        seed: 0,
    };
    let spec = FeatureSpec::for_dataset(&dataset, horizon);
    let rows = training_rows(&dataset, &recipe, &spec, end, &[])?;
    if rows.target.is_empty() {
        return Err(ModelError::TooFewRows { family: family.as_str(), rows: 0, needed: 1 }.into());
    }
    let model = learn::learn(&recipe, &rows)?;
    let matrix = features::build(&dataset, &spec, &[end], horizon);
    let said = if sent.levels == recipe.levels {
        model.predict(&matrix)?
    } else {
        model.predict_levels(&matrix, &sent.levels)?
    };
    Ok((said, model.notes().to_vec()))
}

/// One variable as the target, the others as what is known of the past.
fn dataset(sent: &SentSeries, variable: usize, step: Resolution) -> Result<Dataset> {
    let length = sent.variables[variable].len();
    let series = |place: usize| {
        Ok::<_, Error>(Series {
            name: format!("variable-{place}").parse::<SeriesName>()?,
            kind: SeriesKind::Other,
            unit: String::new(),
            resolution: step,
            time_zone: sent.zone.clone(),
            location: None,
            holiday_region: None,
            parent: None,
        })
    };
    let grid = TimeGrid { start: sent.start, step, len: length };
    let column = |values: &[f64]| {
        let at = |(i, &value): (usize, &f64)| {
            let valid_time = grid.time(i);
            Observation { valid_time, available_at: valid_time.plus_micros(step.micros()), value }
        };
        Column::new(grid, &values.iter().enumerate().map(at).collect::<Vec<_>>()).0
    };
    let others = sent.variables.iter().enumerate().filter(|(place, _)| *place != variable);
    let covariates = others.map(|(place, values)| {
        Ok(CovariateColumn { series: series(place)?, known_ahead: false, column: column(values) })
    });
    Ok(Dataset {
        series: series(variable)?,
        target: column(&sent.variables[variable]),
        covariates: covariates.collect::<Result<_>>()?,
    })
}

fn dressed(said: &Predictions, family: Quick, notes: Vec<String>) -> SentForecast {
    let level = |l: usize| (0..said.mean.len()).map(|i| answer::shortest(said.row(i)[l])).collect();
    SentForecast {
        family: family.word(),
        mean: said.mean.iter().map(|&value| answer::shortest(value)).collect(),
        quantiles: (0..said.levels).map(level).collect(),
        notes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(length: usize, family: Quick) -> SentSeries {
        let value =
            |i: usize| 50.0 + 10.0 * (i as f64 / 24.0 * std::f64::consts::TAU).sin() + (i * 7919 % 7) as f64;
        SentSeries {
            variables: vec![(0..length).map(value).collect()],
            start: "2026-01-05T00:00:00Z".parse().unwrap(),
            pace: Pace::Clock(Resolution::HOUR),
            zone: "UTC".parse().unwrap(),
            horizon: 24,
            levels: QuantileLevels::parse("0.05,0.5,0.95").unwrap(),
            family,
        }
    }

    #[test]
    fn families_give_way_to_simpler_ones_and_say_so() {
        for (length, family) in [(24 * 40, "linear"), (24 * 7, "seasonal-empirical"), (6, "seasonal-steps")] {
            let said = foretell(&sent(length, Quick::Auto), 0).unwrap();
            assert_eq!(said.family, family, "{:?}", said.notes);
            assert_eq!((said.mean.len(), said.quantiles.len(), said.quantiles[0].len()), (24, 3, 24));
            let told = said.notes.iter().filter(|note| note.contains("could not answer")).count();
            assert_eq!(
                told,
                ["linear", "seasonal-empirical", "seasonal-steps"].iter().position(|f| *f == family).unwrap()
            );
            for step in 0..24 {
                assert!(said.quantiles[0][step] <= said.quantiles[2][step]);
            }
        }
        assert_eq!(foretell(&sent(3, Quick::Auto), 0).unwrap_err().kind, ErrorKind::InsufficientData);
        assert_eq!(foretell(&sent(24, Quick::Linear), 0).unwrap_err().kind, ErrorKind::InsufficientData);
    }

    #[test]
    fn another_variables_past_helps() {
        // The second variable tells a step earlier what the first will be.
        let mut both = sent(24 * 60, Quick::Linear);
        let noise: Vec<f64> =
            (0..24 * 61_u64).map(|i| (i.wrapping_mul(2_654_435_761) >> 7 & 1023) as f64).collect();
        both.variables = vec![noise[..24 * 60].to_vec(), noise[1..=24 * 60].to_vec()];
        both.horizon = 1;
        let alone = SentSeries { variables: vec![both.variables[0].clone()], ..both.clone() };
        let width = |s: &SentSeries| {
            let said = foretell(s, 0).unwrap();
            said.quantiles[2][0] - said.quantiles[0][0]
        };
        assert!(width(&both) < 0.5 * width(&alone), "{} {}", width(&both), width(&alone));
    }

    #[test]
    fn what_cannot_be_is_told() {
        let good = || sent(48, Quick::Auto);
        assert!(check(&good(), 1_000).is_ok());
        let empty = SentSeries { variables: Vec::new(), ..good() };
        let ragged = SentSeries { variables: vec![vec![1.0; 48], vec![1.0; 47]], ..good() };
        let far = SentSeries { horizon: 6_001, ..good() };
        for wrong in [&empty, &ragged, &far] {
            assert_eq!(check(wrong, 100_000).unwrap_err().kind, ErrorKind::InvalidInput);
        }
        assert_eq!(check(&good(), 47).unwrap_err().kind, ErrorKind::TooLarge);
        let months = SentSeries { pace: Pace::Season(12), family: Quick::Linear, ..good() };
        assert!(foretell(&months, 0).unwrap_err().message.contains("seasonal-steps"));
    }
}
