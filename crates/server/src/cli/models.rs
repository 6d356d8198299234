//! `forewatt models`: list, show, import and promote model versions.

use clap::Subcommand;
use forewatt_domain::{ModelVersion, SeriesName, VersionId};
use forewatt_service::Service;
use serde_json::json;

use super::context::Context;
use super::exit;
use super::models_import;
use super::output::Output;
use crate::table::{Table, number};

const EXAMPLES: &str = "\
Examples:
  forewatt models list
  forewatt models list --series city.load --json
  forewatt models show city.load-v2
  forewatt models promote city.load-v2
  forewatt models promote city.load-v1 --force --reason \"v2 fails on holidays\"";

/// What to do with model versions.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub enum Command {
    /// Versions, newest first
    #[command(after_long_help = EXAMPLES)]
    List {
        /// Only this series' versions
        #[arg(long, value_name = "SERIES")]
        series: Option<SeriesName>,
    },
    /// One version: recipe, lineage, scores beside the baselines, notes
    #[command(after_long_help = EXAMPLES)]
    Show {
        /// The version's id, as `models list` shows it
        #[arg(value_parser = version_id)]
        id: VersionId,
    },
    /// Bring in a model that LightGBM or XGBoost made
    #[command(after_long_help = models_import::EXAMPLES)]
    Import(Box<models_import::Args>),
    /// Make a version the champion if it beats the present one on the same backtest
    #[command(after_long_help = EXAMPLES)]
    Promote {
        /// The version's id
        #[arg(value_parser = version_id)]
        id: VersionId,
        /// Promote it whatever the scores say; needs --reason
        #[arg(long, requires = "reason")]
        force: bool,
        /// Why, for those who come after
        #[arg(long, requires = "force", value_name = "TEXT")]
        reason: Option<String>,
    },
}

/// Reads a version id.
///
/// # Errors
/// When the text cannot be one.
pub fn version_id(text: &str) -> Result<VersionId, String> {
    VersionId::from_text(text)
        .ok_or_else(|| "write an id as `forewatt models list` shows it: city.load-v2".to_owned())
}

/// Does what is asked.
pub fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    let out = context.out;
    if let Command::Import(args) = command {
        return models_import::run(context, *args);
    }
    context.with_service(async move |service| match command {
        Command::List { series } => list(service, out, series.as_ref()).await,
        Command::Show { id } => show(service, out, &id).await,
        Command::Import(_) => Ok(()), // done above, for it shows its progress
        Command::Promote { id, force, reason } => promote(service, out, &id, force, reason.as_deref()).await,
    })
}

async fn list(service: &Service, out: Output, series: Option<&SeriesName>) -> anyhow::Result<()> {
    let versions = service.list_versions(series, None).await?;
    if out.json {
        return out.document(&versions);
    }
    if versions.is_empty() {
        return Ok(out.text("no model versions yet: `forewatt train SERIES` learns one")?);
    }
    let mut table =
        Table::new(&["", "version", "model", "created", ">MAE", ">rMAE", ">pinball", ">coverage 80 %"]);
    for version in &versions {
        let champion = service.series(&version.series).await?.champion() == Some(&version.id);
        let metric = |name: &str| version.metrics.get(name).map_or_else(|| "-".to_owned(), |v| number(*v));
        table.row([
            if champion { "*" } else { "" }.to_owned(),
            version.id.to_string(),
            version.recipe.family.to_string(),
            version.created_at.to_string(),
            metric("mae"),
            metric("rmae"),
            metric("pinball"),
            metric("coverage_80"),
        ]);
    }
    Ok(out.text(&format!("{}* answers for its series (champion)", table.render()))?)
}

async fn show(service: &Service, out: Output, id: &VersionId) -> anyhow::Result<()> {
    let version = service.version(id).await?;
    if out.json {
        return out.document(&version);
    }
    Ok(out.text(&describe(&version, out))?)
}

/// A version in words, with its scores beside the baselines'.
pub fn describe(version: &ModelVersion, out: Output) -> String {
    let recipe = &version.recipe;
    let mut facts = Table::new(&["", ""]);
    let mut row = |key: &str, value: String| facts.row([key.to_owned(), value]);
    row("series", version.series.to_string());
    row("model", format!("{} (recipe {})", recipe.family, version.recipe_id));
    let gate = if recipe.daily { ", forecast at local midnight" } else { "" };
    row("horizon", format!("{} steps of {}{gate}", recipe.horizon.steps(), recipe.resolution));
    for covariate in &recipe.covariates {
        let known = if covariate.known_ahead { "known ahead" } else { "past only" };
        row("reads", format!("{} ({known})", covariate.series));
    }
    row("learned from", format!("{} to {}", version.trained_from, version.trained_to));
    row("as of", version.as_of.to_string());
    row("created", version.created_at.to_string());
    if let Some(parent) = &version.parent {
        row("follows", parent.to_string());
    }
    row("artifact", format!("{} bytes, sha256 {}", version.artifact_bytes, version.artifact_sha256));
    for note in &version.notes {
        row("note", note.clone());
    }
    let facts = facts.render();
    format!("{}\n{}\n{}", out.heading(version.id.as_str()), facts.trim_start_matches('\n'), scores(version))
}

/// The scores of a version's backtest, one row a model: itself and the baselines kept beside it.
#[must_use]
pub fn scores(version: &ModelVersion) -> String {
    const SHOWN: [(&str, &str); 7] = [
        ("mae", ">MAE"),
        ("rmae", ">rMAE"),
        ("rmse", ">RMSE"),
        ("pinball", ">pinball"),
        ("crps", ">CRPS"),
        ("coverage_80", ">coverage 80 %"),
        ("width_80", ">width 80 %"),
    ];
    let present: Vec<&(&str, &str)> =
        SHOWN.iter().filter(|(key, _)| version.metrics.contains_key(*key)).collect();
    let headings: Vec<&str> =
        std::iter::once("backtest").chain(present.iter().map(|(_, name)| *name)).collect();
    let mut table = Table::new(&headings);
    let mut models = vec![(version.recipe.family.to_string(), String::new())];
    for key in version.metrics.keys() {
        if let Some((model, _)) = key.split_once('/')
            && models.iter().all(|(name, _)| name != model)
        {
            models.push((model.to_owned(), format!("{model}/")));
        }
    }
    for (name, prefix) in models {
        let value = |key: &str| {
            version.metrics.get(&format!("{prefix}{key}")).map_or_else(|| "-".to_owned(), |v| number(*v))
        };
        table.row(std::iter::once(name).chain(present.iter().map(|(key, _)| value(key))));
    }
    if present.is_empty() { "no backtest\n".to_owned() } else { table.render() }
}

async fn promote(
    service: &Service,
    out: Output,
    id: &VersionId,
    force: bool,
    reason: Option<&str>,
) -> anyhow::Result<()> {
    let force = match (force, reason) {
        (true, None) => return Err(exit::usage("--force needs --reason TEXT")),
        (true, reason) => reason,
        (false, _) => None,
    };
    let why = service.promote(id, force).await?;
    if out.json {
        return out.document(&json!({ "champion": id, "reason": why }));
    }
    Ok(out.text(&format!("{id} is the champion: {why}"))?)
}
