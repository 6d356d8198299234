//! `forewatt import`: observations from a CSV file into the store, with a report of every line that was not taken.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forewatt_domain::{Location, Resolution, SeriesKind, SeriesName, Zone};
use forewatt_service::Service;
use forewatt_service::ingest::{
    Ambiguous, Availability, ColumnMap, Decimal, FileSource, ImportOptions, Labels, RowFilter, SeriesDefaults,
};
use jiff::SignedDuration;

use super::context::Context;
use super::{arguments, exit};

const EXAMPLES: &str = "\
Examples:
  forewatt import load.csv --series city.load --time time --value mw \\
      --time-zone Europe/Madrid
  forewatt import load.csv.gz --series city.load --time Datetime --value MW \\
      --time-zone America/New_York --dry-run
  forewatt import hours.csv --time hour --columns load=city.load,solar=city.solar \\
      --time-zone UTC --labels end
  forewatt import weather.csv --series city.temperature --time valid --value t2m \\
      --available-at issued --kind temperature
  forewatt import prices.csv --series price --time date --value price \\
      --delimiter ';' --decimal comma --time-format '%d/%m/%Y %H:%M'

Nothing is guessed silently: what the file leaves open (naive times, day or month first, decimal comma) is \
refused with the flag that settles it. Running it twice changes nothing. The report names every line that was \
not taken, and why.";

/// Flags of `import`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// CSV file, plain or gzip
    pub file: PathBuf,
    /// Series the values belong to; made when it is new
    #[arg(long, value_name = "NAME", required_unless_present = "columns", requires = "value")]
    pub series: Option<SeriesName>,
    /// Column of the times
    #[arg(long, value_name = "COLUMN")]
    pub time: String,
    /// Column of the values
    #[arg(long, value_name = "COLUMN", requires = "series")]
    pub value: Option<String>,
    /// Several value columns at once, each with its series
    #[arg(long, value_name = "COLUMN=SERIES,...", value_delimiter = ',', value_parser = column, conflicts_with_all = ["series", "value"])]
    pub columns: Vec<ColumnMap>,
    /// IANA zone whose clocks the times were read from, when they carry no offset
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<Zone>,
    /// Format of the times, as of strptime: '%d/%m/%Y %H:%M'
    #[arg(long, value_name = "FORMAT")]
    pub time_format: Option<String>,
    /// Column of when each value became known; one file may hold several vintages of one time
    #[arg(long, value_name = "COLUMN", conflicts_with = "available_after")]
    pub available_at: Option<String>,
    /// How long after the end of its period each value became known [default: 0h]
    #[arg(long, value_name = "DURATION", value_parser = arguments::delay)]
    pub available_after: Option<SignedDuration>,
    /// Which end of its period a time marks
    #[arg(long, value_name = "start|end", value_parser = labels)]
    pub labels: Option<Labels>,
    /// What an hour the clocks showed twice means when the file holds it once
    #[arg(long, value_name = "earlier|later", value_parser = ambiguous)]
    pub ambiguous: Option<Ambiguous>,
    /// Sign before the fraction of a number
    #[arg(long, value_name = "point|comma", value_parser = decimal)]
    pub decimal: Option<Decimal>,
    /// Character between fields: ',' ';' '|' or tab
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    pub delimiter: Option<u8>,
    /// Step between values, when it should not be detected: PT15M
    #[arg(long, value_name = "DURATION")]
    pub resolution: Option<Resolution>,
    /// Keep values that differ from the stored ones as corrections known now, instead of rejecting them
    #[arg(long)]
    pub revise: bool,
    /// Read only rows whose column holds this word; may be given several times
    #[arg(long, value_name = "COLUMN=WORD", value_parser = row_filter)]
    pub only: Vec<RowFilter>,
    #[command(flatten)]
    pub about: About,
    /// Read and report, store nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What is told about the series, beside its values.
#[derive(Debug, clap::Args)]
pub struct About {
    /// Unit of the values: MW, kWh, EUR/MWh, degC
    #[arg(long)]
    pub unit: Option<String>,
    /// What the series measures
    #[arg(long, value_name = "KIND", value_parser = arguments::kind())]
    pub kind: Option<SeriesKind>,
    /// IANA zone whose days, clocks and holidays shape it [default: --time-zone, else UTC]
    #[arg(long, value_name = "ZONE")]
    pub civil_zone: Option<Zone>,
    /// Where it is, in degrees north and east
    #[arg(long, value_name = "LAT,LON", value_parser = arguments::location, allow_hyphen_values = true)]
    pub location: Option<Location>,
    /// Region whose public holidays shape it: ES, US-CA, AU-VIC
    #[arg(long, value_name = "REGION")]
    pub holidays: Option<String>,
}

impl Args {
    /// What the parser is told.
    #[must_use]
    pub fn options(&self) -> ImportOptions {
        let one = self.series.iter().zip(&self.value);
        let one = one.map(|(series, column)| ColumnMap { column: column.clone(), series: series.clone() });
        let mut options = ImportOptions::new(&self.time, self.columns.iter().cloned().chain(one).collect());
        options.time_zone.clone_from(&self.time_zone);
        options.time_format.clone_from(&self.time_format);
        options.labels = self.labels;
        options.ambiguous = self.ambiguous;
        options.decimal = self.decimal;
        options.delimiter = self.delimiter;
        options.resolution = self.resolution;
        options.only.clone_from(&self.only);
        options.revise = self.revise;
        options.available = match (&self.available_at, self.available_after) {
            (Some(column), _) => Availability::Column(column.clone()),
            (None, Some(after)) => Availability::After(after),
            (None, None) => Availability::AtPeriodEnd,
        };
        options
    }
}

/// Imports, follows with a bar, ends with the report.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<()> {
    require_file(&args.file)?;
    let out = context.out;
    let bar = out.bytes_bar(0);
    bar.set_message("importing");
    let progress = {
        let bar = bar.clone();
        move |done: u64, total: u64| {
            bar.set_length(total);
            bar.set_position(done);
        }
    };
    let about = &args.about;
    let defaults = SeriesDefaults {
        unit: about.unit.clone().unwrap_or_default(),
        kind: about.kind,
        time_zone: about.civil_zone.clone().or_else(|| args.time_zone.clone()),
        location: about.location,
        holiday_region: about.holidays.clone(),
    };
    let source = Arc::new(FileSource(args.file.clone()));
    let work = async |service: &Service| {
        Ok(service.import(source, args.options(), &defaults, args.dry_run, progress).await)
    };
    let report = context.with_service(work);
    bar.finish_and_clear();
    let report = report?.map_err(|error| explain(error, &args.file))?;
    if out.json {
        out.document(&report)?;
    } else {
        out.text(&report.to_string())?;
    }
    if report.values() == 0 {
        return Err(exit::refused(format!(
            "{}: no value could be taken; the report says why",
            args.file.display()
        )));
    }
    Ok(())
}

/// Reads `COLUMN=SERIES`; the column may hold `=` itself, a series' name cannot.
fn column(text: &str) -> Result<ColumnMap, String> {
    let (column, series) = text.rsplit_once('=').ok_or("write COLUMN=SERIES, several separated by commas")?;
    let series = series.parse::<SeriesName>().map_err(|error| error.to_string())?;
    Ok(ColumnMap { column: column.to_owned(), series })
}

fn row_filter(text: &str) -> Result<RowFilter, String> {
    let (column, value) = text.split_once('=').ok_or("write COLUMN=WORD")?;
    Ok(RowFilter { column: column.to_owned(), value: value.to_owned() })
}

/// Reads `start` or `end`.
///
/// # Errors
/// What may be written.
pub fn labels(text: &str) -> Result<Labels, String> {
    match text {
        "start" => Ok(Labels::Start),
        "end" => Ok(Labels::End),
        _ => Err("write start (01:00 is about 01:00 to 02:00) or end (about 00:00 to 01:00)".to_owned()),
    }
}

/// Reads `earlier` or `later`.
///
/// # Errors
/// What may be written.
pub fn ambiguous(text: &str) -> Result<Ambiguous, String> {
    match text {
        "earlier" => Ok(Ambiguous::Earlier),
        "later" => Ok(Ambiguous::Later),
        _ => Err("write earlier (summer time) or later (winter time)".to_owned()),
    }
}

/// Reads `point` or `comma`.
///
/// # Errors
/// What may be written.
pub fn decimal(text: &str) -> Result<Decimal, String> {
    match text {
        "point" | "." => Ok(Decimal::Point),
        "comma" | "," => Ok(Decimal::Comma),
        _ => Err("write point or comma".to_owned()),
    }
}

/// Reads one character, or the word `tab`.
///
/// # Errors
/// What may be written.
pub fn delimiter(text: &str) -> Result<u8, String> {
    match (text, text.as_bytes()) {
        ("tab" | "\\t", _) => Ok(b'\t'),
        (_, [byte]) if byte.is_ascii_punctuation() || matches!(byte, b'\t' | b' ') => Ok(*byte),
        _ => Err("write one character such as ',' or ';', or the word tab".to_owned()),
    }
}

/// A missing file is not found, whatever else would be refused.
///
/// # Errors
/// When there is no such file.
pub fn require_file(path: &Path) -> anyhow::Result<()> {
    if path.exists() { Ok(()) } else { Err(exit::not_found(format!("there is no file {}", path.display()))) }
}

/// A refusal with the file it is about.
pub fn explain(error: forewatt_service::Error, path: &Path) -> anyhow::Error {
    anyhow::Error::from(error).context(path.display().to_string())
}
