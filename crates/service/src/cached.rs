//! Where an answer comes from: memory, Redis, another's computation under way, or a computation of its own.

use std::sync::Arc;
use std::time::Instant;

use forewatt_domain::{Forecast, SeriesName, VersionId};

use crate::Service;
use crate::access::{covers_all, may_name};
use crate::answer;
use crate::cache::{Answer, Found, Kept};
use crate::dataset::SharedReads;
use crate::error::{Error, ErrorKind, Result};
use crate::forecast::{Answering, Plan, no_model, predict};
use crate::ladder::{Chosen, Rung};
use crate::models::LoadedModel;

/// Pairs of a target and a covariate that are remembered for each series there is room for.
const PAIRS_PER_SERIES: u64 = 8;

impl Service {
    /// Answers a planned question; within a batch, what others of it have read is not read again.
    pub(crate) async fn answer(&self, plan: &Plan, shared: Option<&SharedReads>) -> Result<Arc<Answer>> {
        if self.answers.remote.is_some() || self.config.cache.warm_max > 0 {
            self.answers.hot.count(&plan.key);
        }
        self.cached_answer(plan, shared).await
    }

    /// The same, for a question that nobody asked.
    pub(crate) async fn cached_answer(
        &self,
        plan: &Plan,
        shared: Option<&SharedReads>,
    ) -> Result<Arc<Answer>> {
        if let Some(kept) = self.answers.answers.get(&plan.key).await {
            self.answers.hits.increment(1);
            self.answers.tally.local_hits.count();
            if kept.is_stale() {
                self.answers.tally.stale_hits.count();
                self.renew(plan);
            }
            return Ok(kept.value);
        }
        self.answers.misses.increment(1);
        // On the heap: a hit should not carry the room that a computation needs.
        let compute = Box::pin(async { cut(plan, &self.base_forecast(plan, shared).await?) });
        let answer = self.answers.answers.try_get_with(plan.key.clone(), compute).await;
        answer.map(|kept| kept.value).map_err(|error: Arc<Error>| (*error).clone())
    }

    /// Makes an answer anew behind the one that was given.
    fn renew(&self, plan: &Plan) {
        if !self.answers.begin_renewal(&plan.key) {
            return;
        }
        let (service, plan) = (self.clone(), plan.clone());
        tokio::spawn(async move {
            // In a task of its own, so that a panic does not leave the key as under way for ever.
            let (inner, renewed) = (service.clone(), plan.clone());
            let work = tokio::spawn(async move {
                let base = inner.find_base(&renewed, None).await?;
                inner.answers.bases.insert(renewed.key.base.clone(), base.clone()).await;
                let answer = cut(&renewed, &base)?;
                inner.answers.answers.insert(renewed.key.clone(), answer).await;
                Ok::<(), Error>(())
            });
            match work.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(series = %plan.key.base.series, %error, "an answer stays stale");
                }
                Err(error) => tracing::warn!(series = %plan.key.base.series, %error, "an answer stays stale"),
            }
            service.answers.end_renewal(&plan.key);
        });
    }

    /// The whole horizon from the start at the trained levels, once per key.
    async fn base_forecast(&self, plan: &Plan, shared: Option<&SharedReads>) -> Result<Kept<Arc<Forecast>>> {
        let key = &plan.key.base;
        if let Some(refusal) = self.answers.refusals.get(key).await {
            self.answers.tally.refusal_hits.count();
            return Err((*refusal).clone());
        }
        let base = self.answers.bases.try_get_with(key.clone(), self.find_base(plan, shared)).await;
        if let Err(error) = &base
            && error.kind == ErrorKind::InsufficientData
        {
            self.answers.refusals.insert(key.clone(), Arc::clone(error)).await;
        }
        base.map_err(|error: Arc<Error>| (*error).clone())
    }

    /// From Redis, or computed; of several nodes that are asked at once, one computes.
    async fn find_base(&self, plan: &Plan, shared: Option<&SharedReads>) -> Result<Kept<Arc<Forecast>>> {
        let key = &plan.key.base;
        // A model learned on the spot is this node's own.
        let shareable = plan.rung() != Rung::SeasonalEmpirical;
        let Some(remote) = self.answers.remote.as_ref().filter(|_| shareable) else {
            return self.compute_base(plan, shared).await;
        };
        if let Found::Kept(kept) = remote.find(key).await {
            return Ok(kept);
        }
        let computed = self.compute_base(plan, shared).await;
        match &computed {
            Ok(kept) => remote.keep(key, kept).await,
            Err(_) => remote.release(key).await,
        }
        computed
    }

    /// Computed and kept as issued.
    async fn compute_base(&self, plan: &Plan, shared: Option<&SharedReads>) -> Result<Kept<Arc<Forecast>>> {
        let started = Instant::now();
        let dataset = self.load_inputs(plan, shared).await?;
        let (model, origin) = (Arc::clone(&plan.model), plan.origin());
        let predicted = self.compute.run(move || predict(&dataset, &model, origin)).await;
        let forecast = match predicted.and_then(|said| self.issue(plan, said?)) {
            Ok(forecast) => Arc::new(forecast),
            Err(error) => {
                // The data are there: what is wrong is the version.
                if error.kind == ErrorKind::Internal {
                    self.note_failure(&plan.model.version.id, &error).await;
                }
                return Err(error);
            }
        };
        self.answers.tally.computed.count();
        // What is no registered version's is not kept.
        if plan.key.base.as_of.is_none() && plan.rung() != Rung::SeasonalEmpirical {
            self.issued.keep(Arc::clone(&forecast)).await;
        }
        metrics::histogram!("forewatt_forecast_compute_seconds").record(started.elapsed().as_secs_f64());
        Ok(self.answers.fresh(&plan.key.base, forecast))
    }

    /// Who answers for a series. The champion's is remembered, so that a cached answer costs two look-ups; so is, for a
    /// short time, that there is none.
    pub(crate) async fn answering(
        &self,
        name: &SeriesName,
        version: Option<&VersionId>,
    ) -> Result<(Arc<Answering>, Arc<LoadedModel>)> {
        may_name(name)?;
        if version.is_some() {
            return self.find_answering(name, version).await;
        }
        let before = self.forgotten();
        if let Some(known) = self.answering.get(name).await
            && let Some(model) = known.model.upgrade()
        // else others needed its room
        {
            return Ok((known, model));
        }
        // A refusal may name what is near: what those who may name all were told is not for others.
        if covers_all()
            && let Some(refusal) = self.answers.unknown.get(name).await
        {
            self.answers.tally.refusal_hits.count();
            return Err((*refusal).clone());
        }
        let found = self.find_answering(name, None).await;
        match &found {
            Ok((answering, model)) => {
                for covariate in &model.version.recipe.covariates {
                    let pairs_max = self.config.cache.series_max.saturating_mul(PAIRS_PER_SERIES);
                    if !self.readers.add(&covariate.series, name, pairs_max) {
                        self.answering.invalidate_all();
                    }
                }
                self.answering.insert(name.clone(), Arc::clone(answering)).await;
            }
            Err(error) if covers_all() && matches!(error.kind, ErrorKind::NotFound | ErrorKind::NoModel) => {
                self.answers.unknown.insert(name.clone(), Arc::new(error.clone())).await;
            }
            Err(_) => {}
        }
        if self.forgotten() != before {
            // A write or a promotion came between: what was read may be from before it.
            self.answering.invalidate(name).await;
            self.answers.unknown.invalidate(name).await;
        }
        found
    }

    async fn find_answering(
        &self,
        name: &SeriesName,
        version: Option<&VersionId>,
    ) -> Result<(Arc<Answering>, Arc<LoadedModel>)> {
        let info = self.series(name).await?;
        let chosen = match version {
            Some(id) => Chosen { model: self.load_model(id).await?, rung: Rung::Champion, why: None },
            None => {
                let champion = info.champion().ok_or_else(|| no_model(&info))?;
                Box::pin(self.choose(&info, champion)).await? // on the heap: it is seldom needed
            }
        };
        let Chosen { model, rung, why } = chosen;
        let id = &model.version.id;
        if model.version.series != *name {
            return Err(Error::invalid(format!(
                "the version `{id}` forecasts `{}`, not `{name}`",
                model.version.series
            )));
        }
        let mut revisions = vec![info.state.revision];
        for covariate in &model.version.recipe.covariates {
            revisions.push(self.found(&covariate.series).await?.state.revision);
        }
        let weak = Arc::downgrade(&model);
        Ok((Arc::new(Answering { info, model: weak, revisions, rung, why }), model))
    }
}

/// What was asked for, out of the whole horizon.
fn cut(plan: &Plan, base: &Kept<Arc<Forecast>>) -> Result<Kept<Arc<Answer>>> {
    let floor = plan.model.artifact.model.floor().map(f64::from);
    let answer = answer::cut(&base.value, floor, &plan.levels, plan.key.steps, plan.threshold, plan.rung())?;
    Ok(Kept { value: Arc::new(answer), fresh_until: base.fresh_until })
}
