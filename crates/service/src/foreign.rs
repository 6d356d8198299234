//! Models that LightGBM or XGBoost made, brought in as versions of a series.

use std::collections::BTreeMap;

use forewatt_domain::{Covariate, Family, ModelVersion, QuantileLevels, Recipe, SeriesName, Time, VersionId};
use forewatt_model::artifact::{self, Artifact};
use forewatt_model::dataset::Dataset;
use forewatt_model::features::{self, FeatureSpec};
use forewatt_model::foreign::{ForeignError, ForeignModel, ImportedModel, Part};
use forewatt_model::learn::{self, Model};
use forewatt_model::member::Member;
use sha2::{Digest, Sha256};

use crate::backtest::{self, BacktestRequest, Ready, known_values};
use crate::error::{Error, ErrorKind, Result};
use crate::feature_table::{FeatureRequest, Layout, plain_name};
use crate::jobs::Progress;
use crate::series::nearest;
use crate::train::{Effort, TrainReport, Trained, masked_notes, score, training_rows};
use crate::{Outcome, Service, blocking, quality};

/// The most files of one model: one a level and one of the centre.
pub const FILES_MAX: usize = QuantileLevels::MAX + 1;
/// No model's files are longer together, in bytes: all are kept in the version's artifact.
pub const BYTES_MAX: usize = 128 << 20;

/// A model file.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFile {
    /// What to call it in messages.
    pub name: String,
    /// The quantile level it answers; `None` for the centre, or where the file itself tells its levels.
    pub level: Option<f64>,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What to bring in.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelImport {
    /// The series it forecasts.
    pub series: SeriesName,
    /// Its files: at most one of the centre, and every level once.
    pub files: Vec<ModelFile>,
    /// Features whose names differ: theirs and ours.
    pub renames: Vec<(String, String)>,
    /// How the features it was trained on were made; as they would be made now when absent.
    pub layout: Option<Layout>,
    /// What its features are made of beside the series' past; the weather at the same place when absent.
    pub covariates: Option<Vec<Covariate>>,
    /// How far it must see (`PT48H`); the configured horizon when absent.
    pub horizon: Option<String>,
    /// The levels to answer; those of the files, or the deciles when absent.
    pub quantiles: Option<QuantileLevels>,
    /// No value from this time on was learned from. Days since then judge and calibrate it; without it there is no
    /// backtest.
    pub trained_to: Option<Time>,
    /// Days at the end of the data its backtest covers at most; the configured number when absent.
    pub backtest_days: Option<u32>,
    /// Make it champion when it beats the present one.
    pub promote: bool,
}

/// What a version says that cannot be judged.
const UNJUDGED: &str = "no backtest: it was not told up to when the model was trained, and a score on days it knows \
                        would mean nothing; import it again and tell `trained_to`";

impl Service {
    /// Brings a model in as a version: reads its files, finds its features among ours, backtests it beside the
    /// baselines on days it cannot know, calibrates it, and registers it. Promotion is as for a trained version.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for files that cannot be read, features that are not ours, or levels that cannot be;
    /// `TooLarge`; `InsufficientData` when there are too few forecasts to give a centre its intervals.
    pub async fn import_model(&self, request: &ModelImport, progress: Progress) -> Result<TrainReport> {
        progress(0.0, "reading the files");
        check(request)?;
        let info = self.series(&request.series).await?;
        let layout = request.layout.as_ref();
        let asked = FeatureRequest {
            series: request.series.clone(),
            covariates: layout.map(|layout| layout.covariates.clone()).or_else(|| request.covariates.clone()),
            horizon: layout.map(|layout| layout.horizon.clone()).or_else(|| request.horizon.clone()),
            training_days: None,
        };
        let mut training = asked.training();
        training.quantiles.clone_from(&request.quantiles);
        let learned = self.recipe(&training, &info).await?;
        let recipe = Recipe { family: Family::Imported, seed: seed(&request.files), ..learned };
        let dataset = self.load_history(&request.series, &recipe.covariates).await?;
        let now = self.now();
        let effort = Effort::new(self, request.backtest_days);
        let (recipe, trained) = {
            let (request, progress) = (request.clone(), progress.clone());
            blocking(move || take_in(&dataset, recipe, now, &request, effort, &progress)).await??
        };
        self.register(&info, recipe, now, trained, request.promote, &progress).await
    }

    /// Scores an imported version on any span of its series' past, its calibration learned anew at every refit.
    ///
    /// # Errors
    /// As [`Service::backtest`]; `InvalidInput` for a version of another series or one that is not imported.
    pub async fn backtest_imported(
        &self,
        series: &SeriesName,
        id: &VersionId,
        request: &BacktestRequest,
        progress: Progress,
    ) -> Result<Outcome> {
        let version = self.version(id).await?;
        if version.series != *series {
            return Err(Error::invalid(format!(
                "the version `{id}` forecasts `{}`, not `{series}`",
                version.series
            )));
        }
        let Some(ready) = self.ready_model(&version).await? else {
            let family = version.recipe.family;
            return Err(Error::invalid(format!(
                "`{id}` was learned here: score its family with `--series {} --model {family}`",
                version.series
            )));
        };
        let covariates = version.recipe.covariates.clone();
        let dataset = self.load_history(&version.series, &covariates).await?;
        let request = BacktestRequest { family: Family::Imported, covariates, ..request.clone() };
        let known_to = version.trained_to;
        let mut outcome =
            blocking(move || backtest::run_ready(&dataset, &request, &progress, Some(&ready))).await??;
        if outcome.rows.iter().any(|row| row.forecast_start < known_to) {
            outcome.notes.push(format!(
                "the model may have learned from values before {known_to}: scores of forecasts before then are too good"
            ));
        }
        Ok(outcome)
    }

    /// The model of an imported version; `None` for a version that was learned here.
    pub(crate) async fn ready_model(&self, version: &ModelVersion) -> Result<Option<Ready>> {
        if version.recipe.family != Family::Imported {
            return Ok(None);
        }
        let loaded = self.load_model(&version.id).await?;
        let Model::Single(Member::Imported(model)) = loaded.artifact.model.model() else {
            let message =
                format!("the artifact of `{}` holds no imported model: import it again", version.id);
            return Err(Error::new(ErrorKind::Corrupt, message));
        };
        let spec = loaded.artifact.spec.clone();
        Ok(Some(Ready { model: (**model).clone(), spec, unseen_from: Some(version.trained_to) }))
    }
}

/// Refuses what cannot be without looking at a file or the store.
fn check(request: &ModelImport) -> Result<()> {
    let count = request.files.len();
    if count == 0 || count > FILES_MAX {
        return Err(Error::invalid(format!("{count} files were given: give 1 to {FILES_MAX}")));
    }
    let bytes: usize = request.files.iter().map(|file| file.bytes.len()).sum();
    if bytes > BYTES_MAX {
        let message = format!("the files have {bytes} bytes together, more than the {BYTES_MAX} allowed");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    if let Some(layout) = &request.layout
        && layout.series != request.series
    {
        let (theirs, ours) = (&layout.series, &request.series);
        return Err(Error::invalid(format!("the layout is of `{theirs}`, the model is for `{ours}`")));
    }
    if let Some(layout) = &request.layout
        && let Some(unread) = layout
            .spec
            .covariates
            .iter()
            .find(|c| !layout.covariates.iter().any(|known| known.series == c.series))
    {
        let message =
            format!("the layout makes features of `{}`, which is none of its covariates", unread.series);
        return Err(Error::invalid(message));
    }
    if request.layout.is_some() && (request.covariates.is_some() || request.horizon.is_some()) {
        return Err(Error::invalid(
            "the layout tells covariates and horizon: leave them out, or leave it out",
        ));
    }
    if request.backtest_days == Some(0) {
        return Err(Error::invalid("backtest_days must be at least 1; leave it out for the default"));
    }
    Ok(())
}

/// 48 bits of the files' checksum: whole in every reader of JSON.
fn seed(files: &[ModelFile]) -> u64 {
    let mut checksum = Sha256::new();
    for file in files {
        checksum.update(file.level.unwrap_or(-1.0).to_le_bytes());
        checksum.update((file.bytes.len() as u64).to_le_bytes());
        checksum.update(&file.bytes);
    }
    checksum.finalize()[..6].iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// Everything between loading and registering: pure computation.
fn take_in(
    dataset: &Dataset,
    recipe: Recipe,
    now: Time,
    request: &ModelImport,
    effort: Effort,
    progress: &Progress,
) -> Result<(Recipe, Trained)> {
    let known = known_values(dataset, now);
    let (Some(first), Some(last)) = (known.first(), known.last()) else {
        let message = format!("nothing was known of `{}` at {now}", recipe.target);
        return Err(Error::new(ErrorKind::InsufficientData, message));
    };
    let (first, end) = (first.valid_time, last.valid_time.plus_micros(recipe.resolution.micros()));
    if let Some(time) = request.trained_to.filter(|time| *time <= first) {
        return Err(Error::invalid(format!(
            "trained_to {time} lies before the first value of `{}` ({first}): nothing could be learned by then",
            recipe.target
        )));
    }
    let quality = quality::check(&dataset.series, &known, now);
    let spec = request
        .layout
        .as_ref()
        .map_or_else(|| FeatureSpec::for_dataset(dataset, recipe.reach()), |layout| layout.spec.clone());
    let (model, recipe) = assemble(request, &spec, recipe)?;
    let unseen_from = request.trained_to;
    let (metrics, mut notes) = if unseen_from.is_some() {
        let ready = Ready { model: model.clone(), spec: spec.clone(), unseen_from };
        score(dataset, &recipe, (first, end), effort, progress, Some(&ready))?
    } else {
        (BTreeMap::new(), vec![UNJUDGED.to_owned()])
    };
    progress(0.6, "calibrating");
    let rows = training_rows(dataset, &recipe, &spec, end, &quality.masked)?;
    let model = learn::adopt(&recipe, &rows, model, unseen_from)?;
    drop(rows);
    notes.extend(model.notes().iter().cloned());
    notes.extend(masked_notes(&quality.masked));
    let artifact = artifact::encode(&Artifact { recipe: recipe.clone(), spec, model })
        .map_err(|error| Error::new(ErrorKind::TooLarge, format!("keeping the model: {error}")))?;
    // What is not known to be new counts as learned.
    let trained = (first, unseen_from.map_or(end, |time| time.min(end)));
    Ok((recipe, Trained { artifact, metrics, notes, quality, trained }))
}

/// The model with its features found among ours, and the recipe with the levels it answers.
fn assemble(request: &ModelImport, spec: &FeatureSpec, recipe: Recipe) -> Result<(ImportedModel, Recipe)> {
    let ours = Features { names: features::names(spec), series: &request.series };
    let mut levels = Vec::new();
    let mut parts = Vec::with_capacity(request.files.len());
    let mut renamed = vec![false; request.renames.len()];
    for file in &request.files {
        let refused = |error: ForeignError| Error::invalid(format!("{}: {error}", file.name));
        let model = ForeignModel::read(&file.bytes).map_err(refused)?;
        let columns = ours.find(file, &model, &request.renames, &mut renamed)?;
        levels.extend(file.level.map_or_else(|| model.levels().to_vec(), |level| vec![level]));
        parts.push(Part::new(file.level, columns, file.bytes.clone()).map_err(refused)?);
    }
    if let Some(unused) = renamed.iter().position(|used| !used) {
        let theirs = &request.renames[unused].0;
        return Err(Error::invalid(format!("no file has a feature `{theirs}` to rename: check the names")));
    }
    levels.sort_unstable_by(f64::total_cmp);
    let own = QuantileLevels::new(levels).ok().filter(|levels| {
        let levels = levels.as_slice();
        levels[0] < 0.5 && levels[levels.len() - 1] > 0.5
    });
    let levels = request.quantiles.clone().or(own).unwrap_or(recipe.levels);
    let model =
        ImportedModel::new(parts, levels.clone()).map_err(|error| Error::invalid(error.to_string()))?;
    Ok((model, Recipe { levels, ..recipe }))
}

/// The features there are.
struct Features<'a> {
    names: Vec<String>,
    series: &'a SeriesName,
}

impl Features<'_> {
    /// Our name for every feature of a file; empty for those that no answer depends on and that we do not have.
    fn find(
        &self,
        file: &ModelFile,
        model: &ForeignModel,
        renames: &[(String, String)],
        renamed: &mut [bool],
    ) -> Result<Vec<String>> {
        if model.names().is_empty() {
            return Err(Error::invalid(format!(
                "{}: the file has no names for its features: train with `feature_names` (XGBoost) or on a data frame",
                file.name
            )));
        }
        let (mut columns, mut unknown) = (Vec::with_capacity(model.names().len()), Vec::new());
        for (theirs, &used) in model.names().iter().zip(model.used()) {
            let rename = renames.iter().position(|(from, _)| from == theirs);
            if let Some(at) = rename {
                renamed[at] = true;
            }
            let wanted = rename.map_or(theirs, |at| &renames[at].1);
            let found = self.one(wanted);
            if found.is_none() && used {
                unknown.push(self.told(theirs, wanted));
            }
            columns.push(found.cloned().unwrap_or_default());
        }
        if unknown.is_empty() {
            return Ok(columns);
        }
        Err(Error::invalid(format!(
            "{}: it asks for what is no feature of `{}`: {}; `rename` those that have another name here; there are {}",
            file.name,
            self.series,
            unknown.join(", "),
            self.names.join(", ")
        )))
    }

    /// The feature of this name, written as ours or as tables have it.
    fn one(&self, wanted: &str) -> Option<&String> {
        let exact = self.names.iter().find(|name| *name == wanted);
        exact.or_else(|| self.names.iter().find(|name| plain_name(name) == wanted))
    }

    fn told(&self, theirs: &str, wanted: &str) -> String {
        let shown =
            if theirs == wanted { format!("`{theirs}`") } else { format!("`{theirs}` (as `{wanted}`)") };
        match nearest(wanted, self.names.iter().map(String::as_str)) {
            Some(near) => format!("{shown} (did you mean `{near}`?)"),
            None => shown,
        }
    }
}
