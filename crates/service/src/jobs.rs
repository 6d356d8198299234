//! Background work: a bounded queue, a few workers, progress that can be read while it runs.

use std::sync::{Arc, Weak};

use forewatt_domain::Reach;
use forewatt_store::{JobRecord, JobState, JobStore};
use tokio::sync::{Mutex, mpsc};

use crate::access::{self, Call, covers_all};
use crate::error::{Error, ErrorKind, Result};
use crate::train::TrainRequest;
use crate::{Inner, Service};

/// Tells how far a piece of work is: a share from 0 to 1 and what it is doing.
pub type Progress = Arc<dyn Fn(f64, &str) + Send + Sync>;

/// Work to be done in the background.
#[derive(Debug, Clone)]
pub enum Work {
    /// Train a model version.
    Train(Box<TrainRequest>),
}

/// Where jobs wait.
pub struct Queue {
    sender: mpsc::Sender<Queued>,
}

/// Work that waits.
pub(crate) struct Queued {
    job: JobRecord,
    work: Work,
    /// Who asked for it, for the audit log.
    by: String,
}

/// The workers' end of the queue.
pub(crate) type Inbox = Arc<Mutex<mpsc::Receiver<Queued>>>;

impl Queue {
    pub(crate) fn new(queue_max: usize) -> (Self, Inbox) {
        let (sender, receiver) = mpsc::channel(queue_max.max(1));
        (Self { sender }, Arc::new(Mutex::new(receiver)))
    }
}

/// Starts the workers; they end when the service is gone.
pub(crate) fn start_workers(service: &Service, inbox: &Inbox) {
    for _ in 0..service.config.train.jobs_running_max.max(1) {
        tokio::spawn(work_off(Arc::downgrade(&service.0), Arc::clone(inbox)));
    }
}

async fn work_off(service: Weak<Inner>, inbox: Inbox) {
    loop {
        let next = inbox.lock().await.recv().await;
        let Some(Queued { job, work, by }) = next else { return };
        let Some(inner) = service.upgrade() else { return };
        let (service, call) = (Service(inner), Call::new(format!("job {}{by}", job.id), &Reach::all()));
        let outcome = call.scope(run(&service, job, work)).await;
        if let Err(error) = service.audit_call(&call, "train", outcome, "").await {
            tracing::error!(%error, "what a job changed could not be written into the audit log");
        }
    }
}

/// Does a job and tells how it ended.
async fn run(service: &Service, mut job: JobRecord, work: Work) -> &'static str {
    job.state = JobState::Running;
    service.record(&mut job, "started").await;
    let (updates, mut inbox) = mpsc::channel::<(f64, String)>(64);
    // A full channel drops an update, never the work: the next one tells more.
    let progress: Progress = Arc::new(move |share, doing| drop(updates.try_send((share, doing.to_owned()))));
    let follow = {
        let (service, mut job) = (service.clone(), job.clone());
        tokio::spawn(async move {
            while let Some((share, doing)) = inbox.recv().await {
                if share - job.progress >= 0.02 || doing != job.message {
                    job.progress = share;
                    service.record(&mut job, &doing).await;
                }
            }
        })
    };
    let outcome = match work {
        Work::Train(request) => service.train(&request, progress).await.and_then(|report| {
            serde_json::to_value(report)
                .map_err(|error| Error::internal(format!("encoding the report: {error}")))
        }),
    };
    let _ = follow.await; // the last progress must not overwrite the end; a panic in it loses only a progress line
    match outcome {
        Ok(result) => {
            (job.state, job.progress, job.result) = (JobState::Succeeded, 1.0, Some(result));
            service.record(&mut job, "done").await;
            "succeeded"
        }
        Err(error) => {
            job.state = JobState::Failed;
            service.record(&mut job, &error.to_string()).await;
            "failed"
        }
    }
}

/// Whether the present call may see a job: its series decides.
fn may_see(job: &JobRecord) -> bool {
    let series = job.payload.get("series").and_then(|name| name.as_str()?.parse().ok());
    covers_all() || series.is_some_and(|name| access::covers(&name))
}

impl Service {
    /// Puts work into the queue and returns its record at once.
    ///
    /// # Errors
    /// `Unavailable` when the queue is full.
    pub async fn submit(&self, work: Work) -> Result<JobRecord> {
        let Work::Train(request) = &work;
        // Whatever is wrong with the request is told now, not by a job that fails later.
        let info = self.series(&request.series).await?;
        self.recipe(request, &info).await?;
        let payload = serde_json::to_value(request)
            .map_err(|error| Error::internal(format!("encoding the job: {error}")))?;
        let now = self.now();
        let job = JobRecord {
            id: uuid::Uuid::now_v7().to_string(),
            kind: "train".to_owned(),
            payload,
            state: JobState::Queued,
            progress: 0.0,
            message: "waiting".to_owned(),
            result: None,
            created_at: now,
            updated_at: now,
        };
        self.will_change(&request.series).await?;
        let place = self.jobs.sender.try_reserve().map_err(|_| {
            let max = self.config.train.jobs_queue_max;
            Error::new(ErrorKind::Unavailable, format!("{max} jobs wait already: try again when one is done"))
        })?;
        self.store.put_job(&job).await?;
        let by = access::current().map_or_else(String::new, |call| format!(" of {}", call.actor()));
        place.send(Queued { job: job.clone(), work, by });
        Ok(job)
    }

    /// One job.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn job(&self, id: &str) -> Result<JobRecord> {
        let job = self.store.get_job(id).await?.filter(may_see);
        job.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("there is no job `{id}`; GET /v1/jobs lists the latest"))
        })
    }

    /// Jobs, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_jobs(&self, limit: Option<u32>) -> Result<Vec<JobRecord>> {
        let (limit, all) = (limit.unwrap_or(100), self.config.limits.list_max);
        let read = if covers_all() { limit.min(all) } else { all };
        let mut jobs = self.store.list_jobs(read).await?;
        jobs.retain(may_see);
        jobs.truncate(limit as usize);
        Ok(jobs)
    }

    /// Marks the jobs of a process that stopped as failed; call once when a server starts.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn fail_orphaned_jobs(&self) -> Result<u64> {
        Ok(self
            .store
            .fail_orphans(self.now(), "the server stopped while this job waited or ran: submit it again")
            .await?)
    }

    async fn record(&self, job: &mut JobRecord, message: &str) {
        message.clone_into(&mut job.message);
        job.updated_at = self.now();
        if let Err(error) = self.store.put_job(job).await {
            tracing::error!(job = %job.id, %error, "a job's state could not be kept");
        }
    }
}
