//! One question: its tensors to the service's terms, and what it says back to tensors.

use std::time::Duration;

use forewatt_service::cache::Answer;
use forewatt_service::domain::{QuantileLevels, Time};
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::infer::Rows;
use forewatt_service::{Error, ErrorKind, Result, SeriesInfo};

use super::stats::Spent;
use super::tensor::{Data, Tensor};
use super::{Model, find};
use crate::http::AppState;

/// From this priority on (0 and 1 are the usual ones, greater is less urgent) a question waits for quieter times:
/// it is refused while less than a quarter of the places are free, or anybody waits.
const PATIENT_FROM: u64 = 2;
const PATIENT_SHARE: f64 = 0.75;

/// A question as every transport reads it.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The model.
    pub model: String,
    /// Its version; empty for the one that answers.
    pub version: String,
    /// Sent back as it came.
    pub id: String,
    /// 0 when not given.
    pub priority: u64,
    /// The time it may take, when less than the configured one.
    pub timeout: Option<Duration>,
    /// What is given.
    pub inputs: Vec<Tensor>,
    /// The names of the wanted outputs, in order; empty for all.
    pub wanted: Vec<String>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The model that answered.
    pub model: String,
    /// Its version.
    pub version: String,
    /// The question's.
    pub id: String,
    /// What a reader must know: which version, whether degraded, whether calibrated.
    pub parameters: Vec<(&'static str, String)>,
    /// The wanted outputs, in the order they were asked for.
    pub outputs: Vec<Tensor>,
}

/// Parameters and outputs, before those that nobody wants are left out.
type Said = (Vec<(&'static str, String)>, Vec<Tensor>);

impl Question {
    /// Answers the question and counts it.
    ///
    /// # Errors
    /// `NotFound` for the model, an input or output it does not have named; `InvalidInput` for tensors that cannot be;
    /// `Timeout`; `Unavailable` for a question that can wait while the server is busy; the service's own.
    pub async fn answer(self, app: &AppState) -> Result<Reply> {
        if self.priority >= PATIENT_FROM && app.admission.is_crowded(PATIENT_SHARE) {
            let message = format!("the server is busy and priority {} can wait: try again", self.priority);
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        let model = find(&app.service, &self.model, &self.version).await?;
        let mut spent = Spent::begin();
        let work = self.ask(app, &model, &mut spent);
        let answered = match self.timeout {
            None => work.await,
            Some(timeout) => tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| {
                let message = format!("not done within the {} us it was given", timeout.as_micros());
                Err(Error::new(ErrorKind::Timeout, message))
            }),
        };
        app.tally.add(model.name(), &model.version_word(), &spent, answered.is_ok(), app.service.now());
        let (parameters, outputs) = answered?;
        Ok(Reply {
            model: model.name().to_owned(),
            version: model.version_word(),
            outputs: self.chosen(outputs)?,
            id: self.id,
            parameters,
        })
    }

    async fn ask(&self, app: &AppState, model: &Model, spent: &mut Spent) -> Result<Said> {
        match model {
            Model::Series { info, .. } => {
                let request = self.forecast_request(info, model)?;
                spent.read();
                let answer = app.service.forecast(&request).await?;
                spent.asked();
                let said = of_forecast(&answer);
                spent.written();
                Ok(said)
            }
            Model::Rows { id, signature } => {
                let rows = self.rows(signature.features.len())?;
                spent.read();
                let said = app.service.infer(id, rows).await?;
                spent.asked();
                let (count, levels) = (said.mean.len(), said.levels.len());
                let outputs = vec![
                    Tensor::answer("mean", vec![count], Data::Fp32(said.mean)),
                    Tensor::answer("quantiles", vec![count, levels], Data::Fp32(said.quantiles)),
                    Tensor::answer("levels", vec![levels], Data::Fp64(said.levels.as_slice().to_vec())),
                ];
                spent.written();
                Ok((
                    vec![("model_version", id.to_string()), ("calibrated", said.calibrated.to_string())],
                    outputs,
                ))
            }
        }
    }

    fn forecast_request(&self, info: &SeriesInfo, model: &Model) -> Result<ForecastRequest> {
        self.only(&["series", "horizon", "quantiles"])?;
        let name = &info.series.name;
        if let Some(named) = self.texts("series")?
            && named != [name.as_str()]
        {
            return Err(Error::invalid(format!(
                "input `series`: this model answers for `{name}` alone: name it or nothing"
            )));
        }
        let horizon = match self.numbers("horizon")? {
            None => None,
            Some([steps]) if (1..=i64::from(i32::MAX)).contains(steps) => {
                Some(info.series.resolution.duration() * i32::try_from(*steps).unwrap_or(i32::MAX))
            }
            Some(_) => return Err(Error::invalid("input `horizon`: give one number of steps from 1")),
        };
        let levels = self.floats("quantiles")?.map(QuantileLevels::new).transpose()?;
        let version = Some(model.version()?.clone());
        // The champion is asked for without its id: who answers is remembered then.
        let version = version.filter(|id| info.champion() != Some(id));
        Ok(ForecastRequest { horizon, levels, version, ..ForecastRequest::new(name.clone()) })
    }

    fn rows(&self, columns: usize) -> Result<Rows> {
        self.only(&["features", "forecast_start", "valid_time"])?;
        let Some(features) = self.input("features") else {
            return Err(Error::invalid(format!(
                "input `features`: is missing: send FP32 or FP64 of shape [n, {columns}]"
            )));
        };
        if features.shape.len() != 2 || features.shape[1] != columns {
            let message = format!("input `features`: the shape {:?} is not [n, {columns}]", features.shape);
            return Err(Error::invalid(message));
        }
        let values = match &features.data {
            Data::Fp32(values) => values.clone(),
            Data::Fp64(values) => values.iter().map(|&value| value as f32).collect(),
            other => {
                let message = format!("input `features`: {} is not FP32 or FP64", other.datatype());
                return Err(Error::invalid(message));
            }
        };
        let times = match (self.numbers("forecast_start")?, self.numbers("valid_time")?) {
            (Some(starts), Some(valid)) => Some(pairs(starts, valid)?),
            (None, None) => None,
            _ => {
                return Err(Error::invalid(
                    "`forecast_start` and `valid_time` go together: send both or none",
                ));
            }
        };
        Ok(Rows { values, times })
    }

    fn input(&self, name: &str) -> Option<&Tensor> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// Refuses inputs the model does not have, and any given twice.
    fn only(&self, known: &[&str]) -> Result<()> {
        for (i, input) in self.inputs.iter().enumerate() {
            let shown: String = input.name.chars().take(60).collect();
            if !known.contains(&input.name.as_str()) {
                return Err(Error::invalid(format!(
                    "there is no input `{shown}`: this model takes {}",
                    known.join(", ")
                )));
            }
            if self.inputs[..i].iter().any(|earlier| earlier.name == input.name) {
                return Err(Error::invalid(format!("input `{shown}` is given twice: give it once")));
            }
        }
        Ok(())
    }

    fn numbers(&self, name: &str) -> Result<Option<&[i64]>> {
        match self.input(name).map(|input| &input.data) {
            None => Ok(None),
            Some(Data::Int64(values)) => Ok(Some(values)),
            Some(other) => Err(Error::invalid(format!("input `{name}`: {} is not INT64", other.datatype()))),
        }
    }

    fn floats(&self, name: &str) -> Result<Option<Vec<f64>>> {
        match self.input(name).map(|input| &input.data) {
            None => Ok(None),
            Some(Data::Fp64(values)) => Ok(Some(values.clone())),
            // 0.1 as it was meant, not as the nearest single-precision number.
            Some(Data::Fp32(values)) => {
                Ok(Some(values.iter().map(|v| v.to_string().parse().unwrap_or(f64::from(*v))).collect()))
            }
            Some(other) => Err(Error::invalid(format!("input `{name}`: {} is not FP64", other.datatype()))),
        }
    }

    fn texts(&self, name: &str) -> Result<Option<Vec<&str>>> {
        match self.input(name).map(|input| &input.data) {
            None => Ok(None),
            Some(Data::Bytes(values)) => {
                let texts: Option<Vec<&str>> = values.iter().map(|v| std::str::from_utf8(v).ok()).collect();
                let refuse = || Error::invalid(format!("input `{name}`: its bytes are no UTF-8 text"));
                texts.ok_or_else(refuse).map(Some)
            }
            Some(other) => Err(Error::invalid(format!("input `{name}`: {} is not BYTES", other.datatype()))),
        }
    }

    /// The outputs that are wanted, in the order of the wish.
    fn chosen(&self, outputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        if self.wanted.is_empty() {
            return Ok(outputs);
        }
        let find = |name: &String| {
            outputs.iter().find(|output| output.name == *name).cloned().ok_or_else(|| {
                let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
                let shown: String = name.chars().take(60).collect();
                Error::invalid(format!("there is no output `{shown}`: this model gives {}", names.join(", ")))
            })
        };
        // A name asked for a hundred times would multiply the answer.
        if self.wanted.len() > outputs.len() {
            return Err(Error::invalid(format!(
                "{} outputs are wanted, the model gives {}",
                self.wanted.len(),
                outputs.len()
            )));
        }
        self.wanted.iter().map(find).collect()
    }
}

/// Instants of Unix seconds, row by row.
fn pairs(starts: &[i64], valid: &[i64]) -> Result<Vec<(Time, Time)>> {
    if starts.len() != valid.len() {
        let message = format!(
            "{} times in `forecast_start`, {} in `valid_time`: send one of each a row",
            starts.len(),
            valid.len()
        );
        return Err(Error::invalid(message));
    }
    let range = Time::MIN.seconds()..=Time::MAX.seconds();
    if let Some(wrong) = starts.iter().chain(valid).find(|second| !range.contains(second)) {
        return Err(Error::invalid(format!(
            "{wrong} is no instant in Unix seconds of the years 1800 to 2300"
        )));
    }
    Ok(starts.iter().zip(valid).map(|(&s, &v)| (Time::from_seconds(s), Time::from_seconds(v))).collect())
}

fn of_forecast(answer: &Answer) -> Said {
    let forecast = &answer.forecast;
    let (steps, levels) = (forecast.points.len(), forecast.levels.len());
    let quantiles = forecast.points.iter().flat_map(|point| point.quantiles.iter().copied()).collect();
    let times = forecast.points.iter().map(|point| point.valid_time.seconds()).collect();
    let outputs = vec![
        Tensor::answer("mean", vec![steps], Data::Fp64(forecast.points.iter().map(|p| p.mean).collect())),
        Tensor::answer("quantiles", vec![steps, levels], Data::Fp64(quantiles)),
        Tensor::answer("levels", vec![levels], Data::Fp64(forecast.levels.as_slice().to_vec())),
        Tensor::answer("timestamps", vec![steps], Data::Int64(times)),
    ];
    let mut parameters = vec![
        ("model_version", forecast.model_version.to_string()),
        ("unit", forecast.unit.clone()),
        ("forecast_start", forecast.forecast_start.to_string()),
        ("quality", forecast.quality.to_string()),
    ];
    parameters.extend(answer.rung.label().map(|rung| ("fallback", rung.to_owned())));
    parameters.extend(forecast.degraded.clone().map(|why| ("degraded", why)));
    (parameters, outputs)
}
