//! `forewatt backtest`: honest scores on the past, from the store or straight from a file.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use forewatt_domain::{
    Covariate, Family, QuantileLevels, Series, SeriesKind, SeriesName, Time, VersionId, Zone,
};
use forewatt_service::backtest::{self as service_backtest, BacktestRequest};
use forewatt_service::file_dataset::{self, FileColumns, FileCovariate};
use forewatt_service::ingest::{FileSource, ImportOptions, Limits};
use forewatt_service::jobs::Progress;
use forewatt_service::peaks::{self, PeakAt, Peaks};
use forewatt_service::{Dataset, Outcome, Refit};
use jiff::SignedDuration;

use super::arguments::{self, When};
use super::choice::ChoiceArgs;
use super::context::Context;
use super::import::{self, About};
use super::models::version_id;
use super::train::follow;
use super::{backtest_report, exit};

const EXAMPLES: &str = "\
Examples:
  forewatt backtest --series city.load --from 2025-01-01 --to 2025-07-01
  forewatt backtest --series city.load --from 2025-01-01 --to 2025-07-01 \\
      --model linear --refit 7d --json
  forewatt backtest --series city.load --from 2025-01-01 --to 2025-07-01 --imported city.load-v3
  forewatt backtest --file prices.csv --time time --time-zone Europe/Oslo --target price \\
      --known-ahead load_forecast,wind_forecast --from 2017-01-01 --to 2018-12-25 \\
      --every 24h --horizon 24h --refit 28d --model gbdt --output out.csv

Every forecast sees only what was known at its start. --from is the first start; none starts at or after --to. \
Both are RFC 3339, or dates and times of the series' zone. --output has exactly the columns \
forecast_start,valid_time,actual,mean,q0.1,...,q0.9 with RFC 3339 times; an unknown actual is empty. \
--peaks 0.95 also scores the top twentieth of the actuals as peaks, --threshold 350 whatever lies above 350: \
whether they were told, each local day's peak hour and height, and the errors at peaks alone.";

/// Flags of `backtest`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
#[group(id = "what", required = true, multiple = false, args = ["series", "file"])]
pub struct Args {
    /// A stored series
    #[arg(long, value_name = "NAME")]
    series: Option<SeriesName>,
    #[command(flatten)]
    from_file: FileArgs,
    /// First forecast start: RFC 3339, or a date or time of the series' zone
    #[arg(long, value_name = "TIME", value_parser = arguments::when)]
    from: When,
    /// No forecast starts at or after this
    #[arg(long, value_name = "TIME", value_parser = arguments::when)]
    to: When,
    /// Distance between forecast starts; whole days keep the time on the series' clocks
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = arguments::duration)]
    every: SignedDuration,
    /// How far each forecast goes
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = arguments::duration)]
    horizon: SignedDuration,
    /// How often the model is fitted anew: 24h, 7d, 28d or never
    #[arg(long, value_name = "DURATION|never", default_value = "28d", value_parser = refit)]
    refit: Refit,
    /// Model family [default: train.family of the configuration]
    #[arg(long, value_name = "NAME", value_parser = arguments::family())]
    model: Option<Family>,
    /// An imported version to score, as it is, instead of a family
    #[arg(long, value_name = "VERSION", value_parser = version_id, requires = "series", conflicts_with_all = ["model", "known_ahead", "past_only", "budget"])]
    imported: Option<VersionId>,
    /// Quantile levels, rising
    #[arg(long, value_name = "LEVELS", default_value = "0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9", value_parser = arguments::levels)]
    quantiles: QuantileLevels,
    /// Columns (--file) or series (--series) known for the whole horizon; a column's kind and unit may follow: t2m:temperature:K
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    known_ahead: Vec<String>,
    /// Columns or series of which only the past is known
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    past_only: Vec<String>,
    /// Learn from at most this many days before each fit
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    training_days: Option<u32>,
    /// Seed of everything random [default: train.seed of the configuration]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// About how long it may take; with --model auto: it tries learners from the cheapest on as long as there is time
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    budget: Option<SignedDuration>,
    /// Also score peaks: values above this quantile of the actuals, such as 0.95
    #[arg(long, value_name = "QUANTILE", value_parser = share, conflicts_with = "threshold")]
    peaks: Option<f64>,
    /// Also score peaks: values above this one, in the series' unit
    #[arg(long, value_name = "VALUE", value_parser = arguments::finite, allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// Write every forecast value to this CSV file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// With --model windows: forecast the --past-only columns of the target's kind too, all from one model; --output
    /// begins with a column `series`
    #[arg(long, requires = "file")]
    with_peers: bool,
    /// No chart
    #[arg(long)]
    no_plot: bool,
    #[command(flatten)]
    choice: ChoiceArgs,
}

/// What only a file needs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --file")]
struct FileArgs {
    /// A CSV file, plain or gzip; nothing is stored
    #[arg(long, value_name = "FILE", requires_all = ["time", "target"])]
    file: Option<PathBuf>,
    /// Column of the times
    #[arg(long, value_name = "COLUMN", requires = "file")]
    time: Option<String>,
    /// IANA zone whose clocks the times were read from
    #[arg(long, value_name = "ZONE", requires = "file")]
    time_zone: Option<Zone>,
    /// Column to forecast
    #[arg(long, value_name = "COLUMN", requires = "file")]
    target: Option<String>,
    /// Format of the times, as of strptime
    #[arg(long, value_name = "FORMAT", requires = "file")]
    time_format: Option<String>,
    /// Which end of its period a time marks
    #[arg(long, value_name = "start|end", value_parser = import::labels, requires = "file")]
    labels: Option<forewatt_service::ingest::Labels>,
    /// What an hour the clocks showed twice means when the file holds it once
    #[arg(long, value_name = "earlier|later", value_parser = import::ambiguous, requires = "file")]
    ambiguous: Option<forewatt_service::ingest::Ambiguous>,
    /// Sign before the fraction of a number
    #[arg(long, value_name = "point|comma", value_parser = import::decimal, requires = "file")]
    decimal: Option<forewatt_service::ingest::Decimal>,
    /// Character between fields: ',' ';' '|' or tab
    #[arg(long, value_name = "CHARACTER", value_parser = import::delimiter, requires = "file")]
    delimiter: Option<u8>,
    #[command(flatten)]
    about: About,
}

/// What the report tells about the scored series.
pub struct Scored {
    /// Its name, or the column's.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Its zone.
    pub zone: Zone,
    /// The first forecast start.
    pub from: Time,
    /// The end of forecast starts.
    pub to: Time,
    /// What came out.
    pub outcome: Outcome,
    /// Its peaks, when asked for.
    pub peaks: Option<Peaks>,
    /// What came out for its peers, when asked for.
    pub peers: Vec<(SeriesName, Outcome)>,
}

/// Scores, writes, shows.
pub fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    if let Some(path) = &args.output {
        refuse_unwritable(path)?;
    }
    let bar = context.out.work_bar();
    let (output, no_plot) = (args.output.clone(), args.no_plot);
    let peak_at = args.peaks.map(PeakAt::Quantile).or(args.threshold.map(PeakAt::Threshold));
    let scored = match args.series.clone() {
        Some(series) => from_store(context, &args, &series, follow(&bar)),
        None => from_file(context, args, follow(&bar)),
    };
    bar.finish_and_clear();
    let mut scored = scored?;
    scored.peaks = peak_at.and_then(|at| peaks::of_backtest(&scored.outcome, &scored.zone, at));
    if let Some(path) = &output {
        let rows = write_csv(path, &scored).with_context(|| format!("writing {}", path.display()))?;
        context.out.note(&format!("{rows} forecast values written to {}", path.display()));
    }
    backtest_report::show(context.out, &scored, no_plot)
}

fn from_store(
    context: &Context,
    args: &Args,
    name: &SeriesName,
    progress: Progress,
) -> anyhow::Result<Scored> {
    let names = |list: &[String], known_ahead: bool| {
        let read = |text: &String| text.parse().map(|series| Covariate { series, known_ahead });
        list.iter().map(read).collect::<Result<Vec<_>, _>>().map_err(|error| exit::usage(error.to_string()))
    };
    let covariates = [names(&args.known_ahead, true)?, names(&args.past_only, false)?].concat();
    context.with_service(async |service| {
        let info = service.series(name).await?;
        let zone = info.series.time_zone.clone();
        let request = request(context, args, covariates, &zone)?;
        let outcome = match &args.imported {
            Some(id) => service.backtest_imported(name, id, &request, progress).await?,
            None => service.backtest(name, &request, progress).await?,
        };
        let (from, to, unit) = (request.from, request.to, info.series.unit.clone());
        Ok(Scored { name: name.to_string(), unit, zone, from, to, outcome, peaks: None, peers: Vec::new() })
    })
}

fn from_file(context: &Context, args: Args, progress: Progress) -> anyhow::Result<Scored> {
    let file = &args.from_file;
    // clap requires both with --file.
    let (Some(path), Some(target)) = (file.file.clone(), file.target.clone()) else {
        return Err(exit::usage("--file needs --time and --target"));
    };
    let zone = file.about.civil_zone.clone().or_else(|| file.time_zone.clone()).unwrap_or_else(Zone::utc);
    let columns = FileColumns {
        target: described(&args, &zone)?,
        target_column: target.clone(),
        covariates: covariates(&args),
    };
    import::require_file(&path)?;
    let options = options(file);
    let context_ = context.clone();
    context.block_on(async move {
        let work = move || {
            let read = file_dataset::read(&FileSource(path.clone()), &columns, options);
            let read = read.map_err(|error| import::explain(error, &path))?;
            report_rejects(&context_, &read.report);
            let request = request(&context_, &args, read.covariates.clone(), &zone)?;
            let (outcome, peers) = scores(&read.dataset, &request, args.with_peers, &progress)?;
            let unit = args.from_file.about.unit.clone().unwrap_or_default();
            let (from, to) = (request.from, request.to);
            Ok(Scored { name: target, unit, zone, from, to, outcome, peaks: None, peers })
        };
        tokio::task::spawn_blocking(work).await.context("the backtest ended unexpectedly")?
    })
}

/// The target's outcome, and those of its peers where they are asked for.
fn scores(
    dataset: &Dataset,
    request: &BacktestRequest,
    with_peers: bool,
    progress: &Progress,
) -> anyhow::Result<(Outcome, Vec<(SeriesName, Outcome)>)> {
    if !with_peers {
        return Ok((service_backtest::run(dataset, request, progress)?, Vec::new()));
    }
    let mut all = service_backtest::run_with_peers(dataset, request, progress)?;
    let (_, outcome) = all.remove(0); // the target is always there
    Ok((outcome, all))
}

/// What the parser left out matters to the scores: it is told, beside the result.
fn report_rejects(context: &Context, report: &forewatt_service::ingest::Report) {
    let lines = report.lines();
    let told: Vec<&str> =
        lines.iter().map(String::as_str).filter(|line| !line.starts_with("stored")).collect();
    context.out.note(&told.join("\n"));
}

fn options(file: &FileArgs) -> ImportOptions {
    ImportOptions {
        time_zone: file.time_zone.clone(),
        time_format: file.time_format.clone(),
        labels: file.labels,
        ambiguous: file.ambiguous,
        decimal: file.decimal,
        delimiter: file.delimiter,
        limits: Limits::default(),
        ..ImportOptions::new(file.time.as_deref().unwrap_or_default(), Vec::new())
    }
}

/// The target as the flags describe it; its name and resolution are taken from the file.
fn described(args: &Args, zone: &Zone) -> anyhow::Result<Series> {
    let about = &args.from_file.about;
    Ok(Series {
        name: "target".parse()?,
        kind: about.kind.unwrap_or(SeriesKind::Other),
        unit: about.unit.clone().unwrap_or_default(),
        resolution: forewatt_domain::Resolution::HOUR,
        time_zone: zone.clone(),
        location: about.location,
        holiday_region: about.holidays.clone(),
        parent: None,
    })
}

fn covariates(args: &Args) -> Vec<FileCovariate> {
    let read = |known_ahead: bool| {
        move |text: &String| {
            let (column, kind, unit) = column_of(text);
            FileCovariate { column: column.to_owned(), kind, unit: unit.map(str::to_owned), known_ahead }
        }
    };
    args.known_ahead.iter().map(read(true)).chain(args.past_only.iter().map(read(false))).collect()
}

/// `COLUMN`, `COLUMN:KIND` or `COLUMN:KIND:UNIT`; a colon of the column's own name stays with it.
fn column_of(text: &str) -> (&str, SeriesKind, Option<&str>) {
    if let Some((column, kind)) = with_kind(text) {
        return (column, kind, None);
    }
    let with_unit = text.rsplit_once(':').and_then(|(front, unit)| Some((with_kind(front)?, unit)));
    match with_unit {
        Some(((column, kind), unit)) => (column, kind, Some(unit)),
        None => (text, SeriesKind::Other, None),
    }
}

fn with_kind(text: &str) -> Option<(&str, SeriesKind)> {
    let (column, kind) = text.rsplit_once(':')?;
    Some((column, kind.parse().ok()?))
}

fn request(
    context: &Context,
    args: &Args,
    covariates: Vec<Covariate>,
    zone: &Zone,
) -> anyhow::Result<BacktestRequest> {
    let resolve =
        |flag: &str, when: When| when.resolve(zone).map_err(|error| exit::usage(format!("{flag}: {error}")));
    let (from, to) = (resolve("--from", args.from)?, resolve("--to", args.to)?);
    if to <= from {
        return Err(exit::refused(format!("--from {from} must lie before --to {to}")));
    }
    let train = &context.config().train;
    let family = match args.model {
        Some(family) => family,
        None => train.family.parse()?,
    };
    Ok(BacktestRequest {
        family,
        covariates,
        from,
        to,
        every: args.every,
        horizon: args.horizon,
        refit: args.refit,
        levels: args.quantiles.clone(),
        training_days: args.training_days,
        any_hour: false,
        choice: args.choice.clone().into(),
        seed: args.seed.unwrap_or(train.seed),
        budget: args.budget,
    })
}

/// Reads `never` or a duration.
fn refit(text: &str) -> Result<Refit, String> {
    if text == "never" {
        return Ok(Refit::Never);
    }
    arguments::duration(text).map(Refit::Every).map_err(|error| format!("{error}, or never"))
}

/// Reads a quantile strictly between 0 and 1.
fn share(text: &str) -> Result<f64, String> {
    let level = arguments::finite(text)?;
    if level > 0.0 && level < 1.0 {
        Ok(level)
    } else {
        Err("write a quantile between 0 and 1, such as 0.95".to_owned())
    }
}

/// A long backtest must not end at a folder that is not there.
pub fn refuse_unwritable(path: &Path) -> anyhow::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.is_dir() {
        return Err(exit::not_found(format!("--output: there is no folder {}", parent.display())));
    }
    if path.is_dir() {
        return Err(exit::refused(format!("--output: {} is a folder: name a file", path.display())));
    }
    Ok(())
}

/// Writes every forecast value, with a first column `series` where there are peers; says how many.
fn write_csv(path: &Path, scored: &Scored) -> std::io::Result<usize> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    let named = !scored.peers.is_empty();
    write!(file, "{}forecast_start,valid_time,actual,mean", if named { "series," } else { "" })?;
    for level in &scored.outcome.levels {
        write!(file, ",q{level}")?;
    }
    writeln!(file)?;
    let peers = scored.peers.iter().map(|(name, outcome)| (name.as_str(), outcome));
    let mut written = 0;
    for (name, outcome) in std::iter::once((scored.name.as_str(), &scored.outcome)).chain(peers) {
        for row in &outcome.rows {
            if named {
                write!(file, "{name},")?;
            }
            let actual = if row.actual.is_finite() { row.actual.to_string() } else { String::new() };
            write!(file, "{},{},{actual},{}", row.forecast_start, row.valid_time, row.mean)?;
            for quantile in &row.quantiles {
                write!(file, ",{quantile}")?;
            }
            writeln!(file)?;
        }
        written += outcome.rows.len();
    }
    file.flush()?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refits_are_durations_or_never() {
        assert_eq!(refit("never"), Ok(Refit::Never));
        assert_eq!(refit("7d"), Ok(Refit::Every(SignedDuration::from_hours(168))));
        assert!(refit("sometimes").unwrap_err().contains("never"));
        assert!(refit("0h").is_err());
    }

    #[test]
    fn columns_may_tell_their_kind_and_unit() {
        for (text, told) in [
            ("t2m", ("t2m", SeriesKind::Other, None)),
            ("t2m:temperature", ("t2m", SeriesKind::Temperature, None)),
            ("t2m:temperature:K", ("t2m", SeriesKind::Temperature, Some("K"))),
            ("a:b", ("a:b", SeriesKind::Other, None)),
        ] {
            assert_eq!(column_of(text), told, "{text}");
        }
    }

    #[test]
    fn folders_are_checked_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        assert!(refuse_unwritable(&folder.path().join("out.csv")).is_ok());
        assert!(refuse_unwritable(&folder.path().join("no/out.csv")).is_err());
        assert!(refuse_unwritable(folder.path()).is_err());
        assert!(refuse_unwritable(Path::new("out.csv")).is_ok());
    }
}
