//! `forewatt forecast --all`: every series that has a champion, in as few batches as the limits allow.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use forewatt_domain::Forecast;
use forewatt_service::cache::Answer;
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::{Error, ErrorKind, SeriesInfo, Service};

use super::context::Context;
use super::exit;
use super::forecast::{Args, local, request};
use crate::http::forecast::document;
use crate::table::{Table, number};

type Outcome = Result<Arc<Answer>, Error>;

/// Asks for all of them and shows a line each, or the API's own document.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<()> {
    let out = context.out;
    context.with_service(async |service| {
        let asked = with_champion(service).await?;
        if asked.is_empty() {
            return Err(exit::not_found("no series has a champion: train one with `forewatt train NAME`"));
        }
        let requests = asked.iter().map(|info| request(args, &info.series.name, &info.series.time_zone));
        let requests: Vec<ForecastRequest> = requests.collect::<anyhow::Result<_>>()?;
        let outcomes = ask(service, &requests).await?;
        let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        if let Some(Err(first)) = outcomes.first()
            && failed == outcomes.len()
        {
            let of_all = format!("none of {failed} series could be forecast; {}", asked[0].series.name);
            return Err(anyhow::Error::from(first.clone()).context(of_all));
        }
        if let Some(path) = &args.output {
            write_csv(path, &outcomes)?;
        }
        if failed > 0 {
            out.note(&format!("{failed} of {} series could not be forecast", outcomes.len()));
        }
        if out.json {
            return Ok(out.text(&String::from_utf8_lossy(&document(outcomes.into_iter())))?);
        }
        Ok(out.text(&table(&asked, &outcomes))?)
    })
}

/// Every series that a model answers for, by name.
async fn with_champion(service: &Service) -> anyhow::Result<Vec<SeriesInfo>> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let some = service.list_series(after.as_ref(), None).await?;
        let Some(last) = some.last() else { return Ok(all) };
        after = Some(last.series.name.clone());
        all.extend(some.into_iter().filter(|info| info.champion().is_some()));
    }
}

/// As many questions at once as one batch may have, in halves where their answers would be too large together.
async fn ask(service: &Service, requests: &[ForecastRequest]) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(requests.len());
    let mut waiting: Vec<_> = requests.chunks(service.config().forecast.batch_max.max(1)).rev().collect();
    while let Some(some) = waiting.pop() {
        match service.forecast_batch(some.to_vec()).await {
            Ok(answers) => outcomes.extend(answers),
            Err(error) if error.kind == ErrorKind::TooLarge && some.len() > 1 => {
                let (first, second) = some.split_at(some.len() / 2);
                waiting.extend([second, first]);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(outcomes)
}

fn table(asked: &[SeriesInfo], outcomes: &[Outcome]) -> String {
    let mut table =
        Table::new(&["series", "from", ">steps", ">lowest", ">mean", ">highest", "unit", "remark"]);
    for (info, outcome) in asked.iter().zip(outcomes) {
        let name = info.series.name.to_string();
        match outcome {
            Ok(answer) => table.row(summary(name, info, &answer.forecast)),
            Err(error) => {
                let empty = std::iter::repeat_n(String::new(), 6);
                table.row(std::iter::once(name).chain(empty).chain([error.message.clone()]));
            }
        }
    }
    table.render()
}

/// The least, the average and the greatest of the expected values.
fn summary(name: String, info: &SeriesInfo, forecast: &Forecast) -> [String; 8] {
    let means = || forecast.points.iter().map(|point| point.mean);
    let count = forecast.points.len();
    [
        name,
        local(forecast.forecast_start, &info.series.time_zone),
        count.to_string(),
        number(means().fold(f64::INFINITY, f64::min)),
        number(means().sum::<f64>() / count as f64),
        number(means().fold(f64::NEG_INFINITY, f64::max)),
        forecast.unit.clone(),
        forecast.degraded.clone().unwrap_or_default(),
    ]
}

/// `series,valid_time,mean,q0.1,...`; all have the levels that were asked for. What failed is left out.
fn write_csv(path: &Path, outcomes: &[Outcome]) -> anyhow::Result<()> {
    let mut text = String::new();
    for answer in outcomes.iter().flatten() {
        let forecast = &answer.forecast;
        if text.is_empty() {
            text.push_str("series,valid_time,mean");
            forecast.levels.as_slice().iter().for_each(|level| text.push_str(&format!(",q{level}")));
            text.push('\n');
        }
        for point in &forecast.points {
            // Writing to a String cannot fail.
            let _infallible = write!(text, "{},{},{}", forecast.series, point.valid_time, point.mean);
            point.quantiles.iter().for_each(|q| text.push_str(&format!(",{q}")));
            text.push('\n');
        }
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
