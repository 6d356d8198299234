//! What a server's cache does in the background: it hears of writes of other nodes, counts questions, and answers the
//! hottest before they are asked.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use forewatt_domain::SeriesName;
use forewatt_domain::time::MICROS_PER_HOUR;
use futures::{StreamExt, stream};

use super::hot::Question;
use super::remote::Remote;
use crate::error::Result;
use crate::forecast::ForecastRequest;
use crate::{Inner, Service};

/// Questions answered ahead at once: few, for clients come first.
const AT_ONCE: usize = 4;

impl Service {
    /// Starts what a server's cache does in the background. Until the hottest questions are answered or the time for
    /// that is over, [`Service::ready`] says no. Commands that end soon need none of it.
    pub fn start_cache(&self) {
        if self.answers.remote.is_none() {
            return; // who asked what is remembered nowhere
        }
        self.answers.warming.store(true, Ordering::SeqCst);
        let service = self.clone();
        let warm = tokio::spawn(async move {
            let questions = service.hottest_of_all().await;
            service.answer_ahead(questions).await;
            service.answers.warming.store(false, Ordering::SeqCst);
        });
        let listen = tokio::spawn(listen(Arc::downgrade(&self.0)));
        self.answers.keep_task(warm.abort_handle());
        self.answers.keep_task(listen.abort_handle());
    }

    /// Tells the other nodes what this one was asked since it last told. A server does it every now and then.
    pub async fn tell_questions(&self) {
        let Some(remote) = &self.answers.remote else { return };
        let asked = self.answers.hot.untold();
        if !asked.is_empty() {
            remote.count_questions(self.hour(), &asked).await;
        }
    }

    /// Answers the hottest questions about a series anew, in the background.
    pub(crate) fn warm_series(&self, series: &SeriesName) {
        let questions = self.answers.hot.hottest(Some(series), self.config.cache.warm_max);
        if questions.is_empty() {
            return;
        }
        let service = self.clone();
        tokio::spawn(async move { service.answer_ahead(questions).await });
    }

    async fn hottest_of_all(&self) -> Vec<Question> {
        match &self.answers.remote {
            Some(remote) => remote.hottest(self.hour(), self.config.cache.warm_max).await,
            None => Vec::new(),
        }
    }

    /// Answers questions until the time for it is over.
    async fn answer_ahead(&self, questions: Vec<Question>) {
        let wanted = questions.len();
        let answers = stream::iter(questions).map(|question| {
            let service = self.clone();
            async move { service.answer_again(question).await }
        });
        let mut answered = 0;
        let budget = Duration::from_millis(self.config.cache.warm_timeout_ms);
        let all = answers.buffer_unordered(AT_ONCE).for_each(|answer| {
            answered += usize::from(answer.is_ok());
            std::future::ready(())
        });
        let _ = tokio::time::timeout(budget, all).await; // what is not ready by then is answered when it is asked
        tracing::info!(answered, wanted, "the hottest questions are answered ahead");
    }

    async fn answer_again(&self, question: Question) -> Result<()> {
        let resolution = self.series(&question.series).await?.series.resolution;
        let steps = i32::try_from(question.steps).unwrap_or(i32::MAX);
        let request = ForecastRequest {
            horizon: Some(resolution.duration() * steps),
            levels: Some(forewatt_domain::QuantileLevels::new(question.levels)?),
            threshold: question.threshold,
            ..ForecastRequest::new(question.series)
        };
        let plan = self.plan(&request).await?;
        self.cached_answer(&plan, None).await.map(drop)
    }

    fn hour(&self) -> i64 {
        self.now().micros().div_euclid(MICROS_PER_HOUR)
    }

    /// Forgets all that is remembered of series: news of them may have been missed.
    pub(crate) async fn forget_all(&self) {
        self.answers.tally.flushes.count();
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known_series.invalidate_all();
        self.answering.invalidate_all();
        self.answers.unknown.invalidate_all();
    }

    async fn hear(&self, text: &str) {
        let Some(remote) = &self.answers.remote else { return };
        let Some((node, name)) = text.split_once(' ') else { return };
        if node == remote.node {
            return; // done before it was told
        }
        self.answers.tally.news_heard.count();
        match name.parse::<SeriesName>() {
            Ok(name) => self.forget_here(&name).await,
            Err(_) => self.forget_all().await, // `*`, or a name of a newer node's
        }
    }
}

/// Hears the news as long as the service lives.
async fn listen(service: Weak<Inner>) {
    loop {
        let pause = {
            let Some(service) = service.upgrade().map(Service) else { return };
            let Some(remote) = &service.answers.remote else { return };
            if let Some(connection) = remote.subscribe().await {
                // What was told before this moment went unheard.
                service.forget_all().await;
                let weak = Arc::downgrade(&service.0);
                let pause = Duration::from_millis(service.config.cache.redis_retry_ms);
                drop(service);
                hear_all(&weak, connection, pause).await;
                pause
            } else {
                Duration::from_millis(service.config.cache.redis_retry_ms)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Hears the news until the connection breaks or the service is gone.
async fn hear_all(service: &Weak<Inner>, connection: redis::aio::PubSub, pause: Duration) {
    let (mut sink, mut news) = connection.split();
    let mut turns = tokio::time::interval(pause);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let Some(strong) = service.upgrade().map(Service) else { return };
        let Some(remote) = &strong.answers.remote else { return };
        tokio::select! {
            message = news.next() => {
                let Some(message) = message else { return };
                strong.hear(&message.get_payload::<String>().unwrap_or_default()).await;
            }
            () = remote.back.notified() => {
                strong.forget_all().await;
                remote.catch_up().await;
            }
            _ = turns.tick() => {
                // A connection whose other end vanished says nothing by itself.
                let alive = tokio::time::timeout(pause, sink.ping::<redis::Value>()).await;
                if !matches!(alive, Ok(Ok(_))) {
                    return;
                }
                turn(&strong, remote).await;
            }
        }
    }
}

/// What is done every now and then.
async fn turn(service: &Service, remote: &Remote) {
    service.tell_questions().await;
    remote.catch_up().await;
}
