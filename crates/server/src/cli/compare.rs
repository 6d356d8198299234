//! `forewatt compare`: is one forecast better than another, by how much, and is it luck?

use std::path::{Path, PathBuf};

use forewatt_domain::{SeriesName, VersionId, Zone};
use forewatt_service::compare::files::{self, Columns, FileForecasts};
use forewatt_service::compare::{self as service_compare, CompareDocument, CompareRequest, Source};
use forewatt_service::ingest::{Ambiguous, Decimal, FileSource, ImportOptions, Labels};
use forewatt_service::{ErrorKind, Service};
use jiff::SignedDuration;

use super::arguments::{self, When};
use super::context::Context;
use super::{compare_report, exit, import};

const EXAMPLES: &str = "\
Examples:
  forewatt compare ours.csv naive.csv                     two files of backtest --output
  forewatt compare city.load-v3 city.load-v4              what two model versions issued
  forewatt compare city.load-v4 operator.forecast --lead 24h
  forewatt compare operator.forecast ours.csv --of city.load
  forewatt compare ours.csv --file theirs.csv --time hour --time-zone Europe/Oslo \\
      --value \"DNN Ensemble\" --actual \"Real price\"
  forewatt compare --file theirs.csv --time hour --time-zone Europe/Oslo \\
      --value \"DNN Ensemble\" --value \"LEAR Ensemble\" --actual \"Real price\"

Two forecasts are compared; each is one of
  a file       CSV as `backtest --output` writes it: forecast_start,valid_time,actual,mean,q0.1,...
               (forecast_start, actual and quantiles may be absent); also .gz
  a version    the id of a model version: what it issued while it served
  a series     the name of a stored series that holds a third party's forecast as observations
  --value      a column of --file: a third party's forecast, one value a time
A name that is an existing file or ends in .csv or .csv.gz is a file; else a version, else a series. The prefixes \
file:, version: and series: settle it.

Values are matched by forecast start and valid time when both sides share starts; else, or with --lead, by valid \
time, each side by its newest forecast that begins early enough. What is left out is told. Losses (absolute, \
squared, pinball when both have quantiles) are averaged over each day, and the days tested: Diebold-Mariano (JBES \
1995) asks whether one is better on average, Giacomini-White (Econometrica 2006) whether the last known difference \
foretells which will be. By lead time, p-values are corrected for the number of looks (Holm 1979).";

/// Flags of `compare`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Files, model versions or series; two in all with the columns of --value
    #[arg(value_name = "FORECAST", num_args = 0..=2)]
    forecasts: Vec<String>,
    /// Stored series both forecasts are about, for what came true [default: that of a version]
    #[arg(long, value_name = "SERIES")]
    of: Option<SeriesName>,
    /// First valid time: RFC 3339, or a date or time of --time-zone
    #[arg(long, value_name = "TIME", value_parser = arguments::when)]
    from: Option<When>,
    /// First valid time not included
    #[arg(long, value_name = "TIME", value_parser = arguments::when)]
    to: Option<When>,
    /// Take each side's newest forecast that begins at least so long before a valid time
    #[arg(long, value_name = "DURATION", value_parser = arguments::delay)]
    lead: Option<SignedDuration>,
    /// IANA zone of the days losses are averaged over, and of the clocks of --file [default: that of the series, else UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<Zone>,
    #[command(flatten)]
    from_file: FileArgs,
}

/// What a third party's file needs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --file")]
struct FileArgs {
    /// A third party's CSV file, plain or gzip: one row a time, one column a forecast
    #[arg(long, value_name = "FILE", requires_all = ["time", "value"])]
    file: Option<PathBuf>,
    /// Column of the valid times
    #[arg(long, value_name = "COLUMN", requires = "file")]
    time: Option<String>,
    /// Column of a forecast; may be given twice
    #[arg(long, value_name = "COLUMN", requires = "file")]
    value: Vec<String>,
    /// Column of what came true
    #[arg(long, value_name = "COLUMN", requires = "file")]
    actual: Option<String>,
    /// Format of the times, as of strptime
    #[arg(long, value_name = "FORMAT", requires = "file")]
    time_format: Option<String>,
    /// Which end of its period a time marks
    #[arg(long, value_name = "start|end", value_parser = import::labels, requires = "file")]
    labels: Option<Labels>,
    /// What an hour the clocks showed twice means when the file holds it once
    #[arg(long, value_name = "earlier|later", value_parser = import::ambiguous, requires = "file")]
    ambiguous: Option<Ambiguous>,
    /// Sign before the fraction of a number
    #[arg(long, value_name = "point|comma", value_parser = import::decimal, requires = "file")]
    decimal: Option<Decimal>,
    /// Character between fields: ',' ';' '|' or tab
    #[arg(long, value_name = "CHARACTER", value_parser = import::delimiter, requires = "file")]
    delimiter: Option<u8>,
}

/// A forecast as named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    File(PathBuf),
    Version(VersionId),
    Series(SeriesName),
    /// A version or a series: the store tells.
    Stored(String),
}

/// Compares and shows.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<()> {
    let count = args.forecasts.len() + args.from_file.value.len();
    if count != 2 {
        return Err(exit::usage(format!(
            "{count} forecasts are named and two are compared: name files, model versions or series, and columns of --file with --value"
        )));
    }
    let named: Vec<Named> = args.forecasts.iter().map(|text| named(text)).collect::<Result<_, _>>()?;
    let stored = args.of.is_some() || named.iter().any(|name| !matches!(name, Named::File(_)));
    let document = if stored {
        context.with_service(async |service| {
            let mut sources = Vec::new();
            for name in named {
                sources.push(source(context, service, name).await?);
            }
            sources.extend(columns(context, args)?);
            Ok(service.compare(request(args, sources)?).await?)
        })?
    } else {
        context.block_on(async {
            let mut sources = Vec::new();
            for name in named {
                let Named::File(path) = name else { continue }; // nothing here is stored
                sources.push(file(context, &path)?);
            }
            sources.extend(columns(context, args)?);
            Ok(service_compare::given(request(args, sources)?)?)
        })?
    };
    show(context, &document)
}

fn show(context: &Context, document: &CompareDocument) -> anyhow::Result<()> {
    if context.out.json {
        return context.out.document(document);
    }
    Ok(context.out.text(&compare_report::render(document, context.out))?)
}

/// What a name means, by its prefix or its looks.
fn named(text: &str) -> anyhow::Result<Named> {
    if let Some(path) = text.strip_prefix("file:") {
        return Ok(Named::File(path.into()));
    }
    if let Some(id) = text.strip_prefix("version:") {
        return super::models::version_id(id).map(Named::Version).map_err(exit::usage);
    }
    if let Some(name) = text.strip_prefix("series:") {
        return name.parse().map(Named::Series).map_err(|error| exit::usage(format!("{error}")));
    }
    if text.ends_with(".csv") || text.ends_with(".csv.gz") || Path::new(text).is_file() {
        return Ok(Named::File(text.into()));
    }
    Ok(Named::Stored(text.to_owned()))
}

async fn source(context: &Context, service: &Service, named: Named) -> anyhow::Result<Source> {
    let text = match named {
        Named::File(path) => return file(context, &path),
        Named::Version(id) => return Ok(Source::Version(id)),
        Named::Series(name) => return Ok(Source::Series(name)),
        Named::Stored(text) => text,
    };
    if let Some(id) = VersionId::from_text(&text)
        && service.version(&id).await.is_ok()
    {
        return Ok(Source::Version(id));
    }
    let name: SeriesName = text.parse().map_err(|_| {
        exit::not_found(format!("`{text}` is no file, and cannot be the name of a version or series"))
    })?;
    match service.series(&name).await {
        Ok(_) => Ok(Source::Series(name)),
        Err(error) if error.kind == ErrorKind::NotFound => Err(exit::not_found(format!(
            "`{text}` is no file and no model version (`forewatt models list`), and as a series: {error}"
        ))),
        Err(error) => Err(error.into()),
    }
}

/// A file as a backtest writes it, called by its path.
fn file(context: &Context, path: &Path) -> anyhow::Result<Source> {
    import::require_file(path)?;
    let read = files::read_backtest(&FileSource(path.to_owned()));
    let read = read.map_err(|error| import::explain(error, path))?;
    tell(context, path, &read);
    let forecasts = read.forecasts.into_iter().next().unwrap_or_default(); // the reader gives one
    Ok(Source::Given { name: path.display().to_string(), forecasts })
}

/// The columns of a third party's file, called by their names.
fn columns(context: &Context, args: &Args) -> anyhow::Result<Vec<Source>> {
    let given = &args.from_file;
    let (Some(path), Some(time)) = (&given.file, &given.time) else { return Ok(Vec::new()) };
    import::require_file(path)?;
    let options = ImportOptions {
        time_zone: args.time_zone.clone(),
        time_format: given.time_format.clone(),
        labels: given.labels,
        ambiguous: given.ambiguous,
        decimal: given.decimal,
        delimiter: given.delimiter,
        ..ImportOptions::new(time, Vec::new())
    };
    let columns = Columns { values: given.value.clone(), actual: given.actual.clone() };
    let read = files::read_columns(&FileSource(path.clone()), &columns, options);
    let read = read.map_err(|error| import::explain(error, path))?;
    tell(context, path, &read);
    let named = columns.values.into_iter().zip(read.forecasts);
    Ok(named.map(|(name, forecasts)| Source::Given { name, forecasts }).collect())
}

/// What the reader left out matters to the outcome: it is told, beside the result.
fn tell(context: &Context, path: &Path, read: &FileForecasts) {
    let lines = read.report.lines();
    let rejected = lines.iter().filter(|line| line.starts_with("rejected"));
    for line in rejected.chain(&read.notes) {
        context.out.note(&format!("{}: {line}", path.display()));
    }
}

fn request(args: &Args, sources: Vec<Source>) -> anyhow::Result<CompareRequest> {
    let zone = args.time_zone.clone().unwrap_or_else(Zone::utc);
    let resolve = |flag: &str, when: Option<When>| {
        when.map(|w| w.resolve(&zone).map_err(|error| exit::usage(format!("{flag}: {error}")))).transpose()
    };
    let Ok([a, b]) = <[Source; 2]>::try_from(sources) else {
        return Err(exit::usage("two forecasts are compared")); // counted before
    };
    Ok(CompareRequest {
        a,
        b,
        of: args.of.clone(),
        from: resolve("--from", args.from)?,
        to: resolve("--to", args.to)?,
        lead: args.lead,
        time_zone: args.time_zone.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_they_look_like() {
        assert_eq!(named("a/b.csv.gz").unwrap(), Named::File("a/b.csv.gz".into()));
        assert_eq!(named("file:b").unwrap(), Named::File("b".into()));
        assert_eq!(named("city.load-v3").unwrap(), Named::Stored("city.load-v3".to_owned()));
        assert!(matches!(named("version:city.load-v3").unwrap(), Named::Version(_)));
        assert!(matches!(named("series:city.load-v3").unwrap(), Named::Series(_)));
        assert!(named("version:a b").is_err() && named("series:/").is_err());
    }
}
