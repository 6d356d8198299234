//! Promotion: the champion changes only for a better one, or on somebody's word.

use forewatt_domain::time::MICROS_PER_SECOND;
use forewatt_domain::{Alias, ModelVersion, Recipe, Time, VersionId};
use forewatt_model::backtest::Refit;
use forewatt_store::VersionStore;
use jiff::SignedDuration;

use crate::backtest::{self, BacktestRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::webhooks::Event;
use crate::{Service, blocking};

/// The score that decides: mean pinball loss of the backtest, smaller is better.
const DECIDING: &str = "pinball";

/// What a candidate cannot answer that the champion can: a better score on less is no reason to lose it.
fn narrower(candidate: &Recipe, champion: &Recipe) -> Option<&'static str> {
    let ends = |recipe: &Recipe| {
        let levels = recipe.levels.as_slice();
        (levels[0], levels[levels.len() - 1]) // levels are never empty
    };
    let ((low, high), (champion_low, champion_high)) = (ends(candidate), ends(champion));
    if candidate.horizon < champion.horizon {
        return Some("its horizon is shorter than that");
    }
    (low > champion_low || high < champion_high).then_some("its quantile levels reach less far than those")
}

impl Service {
    /// Makes a version champion if it is better than the present one on the same backtest, or if `force` gives a
    /// reason. Returns what decided it.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it is not better (the message has both scores); `InvalidInput` for an empty reason.
    pub async fn promote(&self, id: &VersionId, force: Option<&str>) -> Result<String> {
        let version = self.version(id).await?;
        if let Some(reason) = force {
            if reason.trim().is_empty() {
                return Err(Error::invalid("a forced promotion needs a reason that says why"));
            }
            self.move_champion(&version, &format!("forced: {}", reason.trim())).await?;
            return Ok(format!("forced: {}", reason.trim()));
        }
        let (promoted, why) = self.promote_if_better(&version).await?;
        if promoted {
            return Ok(why);
        }
        let message = format!(
            "`{id}` was not promoted: {why}; to promote it all the same give `--force --reason TEXT`"
        );
        Err(Error::new(ErrorKind::Conflict, message))
    }

    /// Promotes a version if there is no champion or it beats the champion; tells whether and why.
    pub(crate) async fn promote_if_better(&self, version: &ModelVersion) -> Result<(bool, String)> {
        let champion = self.read_series(&version.series).await?.champion().cloned();
        let Some(champion) = champion else {
            let why = "the first version of its series".to_owned();
            self.move_champion(version, &why).await?;
            return Ok((true, why));
        };
        if champion == version.id {
            return Ok((true, "it is the champion already".to_owned()));
        }
        let champion = self.version(&champion).await?;
        if let Some(narrower) = narrower(&version.recipe, &champion.recipe) {
            return Ok((false, format!("{narrower} of the champion `{}`", champion.id)));
        }
        let Some(&score) = version.metrics.get(DECIDING) else {
            let why = version.notes.first().map_or("none was run", String::as_str);
            return Ok((false, format!("it has no backtest to be judged by ({why})")));
        };
        let champions = self.champion_score(&champion, version).await?;
        let compared =
            format!("{DECIDING} {score:.4} against {champions:.4} of `{}` on the same backtest", champion.id);
        if score < champions {
            self.move_champion(version, &compared).await?;
        }
        Ok((score < champions, compared))
    }

    /// The champion's recipe on the candidate's backtest: read from its metrics when the spans agree, else run.
    async fn champion_score(&self, champion: &ModelVersion, candidate: &ModelVersion) -> Result<f64> {
        let same = |key: &str| champion.metrics.get(key) == candidate.metrics.get(key);
        let comparable = champion.recipe.horizon == candidate.recipe.horizon
            && champion.recipe.levels == candidate.recipe.levels;
        if comparable
            && same("backtest_from")
            && same("backtest_to")
            && let Some(&score) = champion.metrics.get(DECIDING)
        {
            return Ok(score);
        }
        let at = |key: &str| {
            let seconds = candidate.metrics.get(key).copied().unwrap_or_default();
            Time::from_micros(seconds as i64 * MICROS_PER_SECOND)
        };
        let recipe = &champion.recipe;
        let dataset = self.load_history(&champion.series, &recipe.covariates).await?;
        let request = BacktestRequest {
            family: recipe.family,
            covariates: recipe.covariates.clone(),
            from: at("backtest_from"),
            to: at("backtest_to"),
            every: SignedDuration::from_hours(24),
            horizon: recipe.resolution.duration()
                * i32::try_from(candidate.recipe.horizon.steps()).unwrap_or(i32::MAX),
            refit: Refit::Never,
            levels: candidate.recipe.levels.clone(),
            training_days: recipe.training_days,
            any_hour: recipe.any_hour,
            choice: recipe.choice.clone(),
            seed: recipe.seed,
            budget: None,
        };
        let quiet: crate::jobs::Progress = std::sync::Arc::new(|_, _| ());
        let ready = self.ready_model(champion).await?;
        let outcome =
            blocking(move || backtest::run_ready(&dataset, &request, &quiet, ready.as_ref())).await??;
        Ok(outcome.metrics.pinball)
    }

    async fn move_champion(&self, version: &ModelVersion, reason: &str) -> Result<()> {
        self.will_change(&version.series).await?;
        self.store.set_alias(&version.series, Alias::Champion, &version.id, self.now(), reason).await?;
        self.forget_series(&version.series).await;
        self.outbox.tell(&Event::model_promoted(version, reason), self.now()).await;
        self.warm_series(&version.series);
        Ok(())
    }
}
