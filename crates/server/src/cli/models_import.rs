//! `forewatt models import`: a model that LightGBM or XGBoost made becomes a version of a series.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use forewatt_domain::{QuantileLevels, SeriesName};
use forewatt_service::Service;
use forewatt_service::feature_table::Layout;
use forewatt_service::foreign::{BYTES_MAX, ModelFile, ModelImport};

use super::arguments::{self, When};
use super::context::Context;
use super::features::What;
use super::train::{follow, verdict};
use super::{exit, models};

/// The longest layout, in bytes.
const LAYOUT_BYTES_MAX: usize = 1 << 20;

pub const EXAMPLES: &str = "\
Examples:
  forewatt features --series city.load --output city.csv      (then train on it)
  forewatt models import city.txt --series city.load --layout city.csv.layout.json \\
      --trained-to 2026-01-01
  forewatt models import --series city.load --level 0.1=low.json --level 0.5=mid.json \\
      --level 0.9=high.json --rename temp=cov:city.temperature

FILE is what save_model of LightGBM (text) or XGBoost (JSON, UBJSON) wrote: it forecasts the centre, or the quantile \
levels it was trained for. Each --level adds a file of one level. The features must be those of `forewatt features`, by \
name. Without quantiles of its own the model's intervals come from its past errors. --trained-to says that nothing \
from then on taught the model: later days judge it and calibrate its intervals; without it there is no backtest. Leave \
at least eight weeks.";

/// Flags of `models import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model's file; may be left out with --level
    #[arg(required_unless_present = "levels")]
    file: Option<PathBuf>,
    /// The series it forecasts
    #[arg(long, value_name = "NAME")]
    series: SeriesName,
    /// A file that answers one quantile level; repeat for every level
    #[arg(long = "level", id = "levels", value_name = "LEVEL=FILE", value_parser = level)]
    levels: Vec<(f64, PathBuf)>,
    /// A feature that the model calls otherwise; repeat as needed
    #[arg(long, value_name = "THEIRS=OURS", value_parser = rename)]
    rename: Vec<(String, String)>,
    /// How the features were made, as `forewatt features --output` wrote it [default: as they would be made now]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["horizon", "known_ahead", "past_only", "alone"])]
    layout: Option<PathBuf>,
    #[command(flatten)]
    what: What,
    /// Quantile levels to answer, rising [default: those of the files, or the deciles]
    #[arg(long, value_name = "LEVELS", value_parser = arguments::levels)]
    quantiles: Option<QuantileLevels>,
    /// No value from this time on taught it: RFC 3339, or a date or time of the series' zone
    #[arg(long, value_name = "TIME", value_parser = arguments::when)]
    trained_to: Option<When>,
    /// Days at the end of the data its backtest covers at most [default: train.backtest_days of the configuration]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    backtest_days: Option<u32>,
    /// Only register the version; the champion stays
    #[arg(long)]
    no_promote: bool,
}

/// Brings the model in and tells what became of it.
pub fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let out = context.out;
    let bar = out.work_bar();
    let report = context.with_service(async |service| {
        let request = request(service, args).await?;
        Ok(service.import_model(&request, follow(&bar)).await?)
    });
    bar.finish_and_clear();
    let report = report?;
    if out.json {
        return out.document(&report);
    }
    Ok(out.text(&format!("{}\n{}", models::describe(&report.version, out), verdict(&report)))?)
}

async fn request(service: &Service, args: Args) -> anyhow::Result<ModelImport> {
    let info = service.series(&args.series).await?;
    let trained_to = arguments::resolve("--trained-to", args.trained_to, &info.series.time_zone)?;
    let centre = args.file.map(|path| (None, path));
    let levels = args.levels.into_iter().map(|(level, path)| (Some(level), path));
    let files = centre.into_iter().chain(levels).map(|(level, path)| {
        let bytes = read(&path, BYTES_MAX)?;
        Ok(ModelFile { name: path.display().to_string(), level, bytes })
    });
    Ok(ModelImport {
        files: files.collect::<anyhow::Result<_>>()?,
        renames: args.rename,
        layout: args.layout.as_deref().map(layout).transpose()?,
        covariates: args.what.covariates(),
        horizon: args.what.horizon.map(|horizon| horizon.to_string()),
        quantiles: args.quantiles,
        trained_to,
        backtest_days: args.backtest_days,
        promote: !args.no_promote,
        series: args.series,
    })
}

/// A file's bytes, if it has no more than so many.
fn read(path: &Path, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let file = File::open(path)
        .map_err(|error| exit::not_found(format!("cannot read {}: {error}", path.display())))?;
    let mut bytes = Vec::new();
    let most = bytes_max as u64 + 1;
    file.take(most).read_to_end(&mut bytes).with_context(|| format!("reading {}", path.display()))?;
    if bytes.len() > bytes_max {
        return Err(exit::refused(format!("{} has more than the {bytes_max} bytes allowed", path.display())));
    }
    Ok(bytes)
}

fn layout(path: &Path) -> anyhow::Result<Layout> {
    let bytes = read(path, LAYOUT_BYTES_MAX)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let path = path.display();
        exit::refused(format!("{path} is no layout as `forewatt features --output` writes it: {error}"))
    })
}

/// Reads `0.1=low.txt`.
fn level(text: &str) -> Result<(f64, PathBuf), String> {
    let (level, path) = parts(text, "0.1=low.txt")?;
    match level.parse::<f64>() {
        Ok(level) if level > 0.0 && level < 1.0 => Ok((level, path.into())),
        _ => Err(format!("`{level}` is no quantile level between 0 and 1")),
    }
}

/// Reads `temp=cov:city.temperature`.
fn rename(text: &str) -> Result<(String, String), String> {
    parts(text, "THEIRS=OURS").map(|(theirs, ours)| (theirs.to_owned(), ours.to_owned()))
}

fn parts<'a>(text: &'a str, example: &str) -> Result<(&'a str, &'a str), String> {
    let parts = text.split_once('=').filter(|(before, after)| !before.is_empty() && !after.is_empty());
    parts.ok_or_else(|| format!("write {example}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_renames_have_two_sides() {
        assert_eq!(level("0.1=a=b.txt"), Ok((0.1, "a=b.txt".into())));
        assert_eq!(rename("temp=cov:t"), Ok(("temp".to_owned(), "cov:t".to_owned())));
        for wrong in ["0.1", "=a", "0.1=", "1=a", "NaN=a", "x=a"] {
            assert!(level(wrong).is_err(), "{wrong}");
        }
        assert!(rename("temp").is_err());
    }

    #[test]
    fn long_and_missing_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.txt");
        assert!(read(&path, 9).unwrap_err().to_string().contains("cannot read"));
        std::fs::write(&path, [b'x'; 10]).unwrap();
        assert!(read(&path, 9).unwrap_err().to_string().contains("more than the 9 bytes"));
        assert_eq!(read(&path, 10).unwrap().len(), 10);
    }
}
