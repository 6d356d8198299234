//! The level that nodes share: forecasts in Redis, the lease of who computes one, and news of writes.
//!
//! What lies there may vanish at any time and nothing depends on it: whatever goes wrong, a call gives nothing and the
//! node goes on with its own cache and the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use forewatt_domain::{Forecast, SeriesName};
use forewatt_store::{Backend, IdentityStore};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, Value};
use tokio::sync::{Mutex, Notify, OnceCell};

use super::breaker::{Breaker, State};
use super::hot::{self, Question};
use super::tally::Tally;
use super::{BaseKey, Kept, wire};
use crate::Config;

/// Gives the value, or the lease, or says that another node has it. The node that has it gets it again: inside a node
/// one asks at a time, and the one that had it may have left.
const FIND: &str = "local kept = redis.call('GET', KEYS[1])
if kept then return {1, kept, redis.call('PTTL', KEYS[1])} end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return {3} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {2}";
/// Keeps the value, if there is one, and gives the lease back, even when there is no room for the value.
const KEEP: &str = "local done = true
if ARGV[2] ~= '' then done = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return done";
/// How long to wait before asking again for what another node computes.
const POLL: Duration = Duration::from_millis(10);
/// Hours that questions are counted.
const HOT_HOURS: i64 = 24;

/// What the shared level says of a key.
pub(crate) enum Found {
    /// Its forecast.
    Kept(Kept<Arc<Forecast>>),
    /// Nothing: whoever asked shall compute it.
    Nothing,
}

/// A connection to Redis, made when there is need of it.
pub(crate) struct Remote {
    client: Client,
    connection: Mutex<Option<MultiplexedConnection>>,
    breaker: Breaker,
    store: Backend,
    identity: OnceCell<String>,
    /// What else answers depend on.
    settings: u64,
    /// This node, as others see it.
    pub(crate) node: String,
    timeout: Duration,
    lease: Duration,
    value_max_bytes: usize,
    compress_min_bytes: usize,
    tally: Arc<Tally>,
    /// Whether news could not be told.
    untold: AtomicBool,
    /// Rung when Redis is back.
    pub(crate) back: Notify,
}

impl Remote {
    /// Without connecting yet.
    ///
    /// # Errors
    /// What is wrong with the URL, which is not repeated: it may hold a password.
    pub(crate) fn new(config: &Config, store: Backend, tally: Arc<Tally>) -> Result<Self, String> {
        let cache = &config.cache;
        Ok(Self {
            client: client(cache.redis_url.trim())?,
            connection: Mutex::new(None),
            breaker: Breaker::new(cache.redis_failures_max, Duration::from_millis(cache.redis_retry_ms)),
            store,
            identity: OnceCell::new(),
            settings: config.forecast.completeness_min.to_bits(),
            node: uuid::Uuid::now_v7().simple().to_string(),
            timeout: Duration::from_millis(cache.redis_timeout_ms),
            lease: Duration::from_millis(cache.lease_ms),
            value_max_bytes: cache.redis_value_max_bytes,
            compress_min_bytes: cache.redis_compress_min_bytes,
            tally,
            untold: AtomicBool::new(false),
            back: Notify::new(),
        })
    }

    /// Whether Redis is asked now.
    pub(crate) fn state(&self) -> State {
        self.breaker.state()
    }

    /// The forecast of a key. Where there is none, waits for the node that computes it, or becomes that node.
    pub(crate) async fn find(&self, key: &BaseKey) -> Found {
        let Some(names) = self.names(key).await else { return Found::Nothing };
        let patience = Instant::now() + self.lease;
        loop {
            let mut find = redis::cmd("EVAL");
            find.arg(FIND).arg(2).arg(&names.value).arg(&names.lease);
            find.arg(&self.node).arg(millis(self.lease));
            let Some(said) = self.call::<Vec<Value>>(&find).await else { return Found::Nothing };
            match said.as_slice() {
                [Value::Int(1), Value::BulkString(bytes), Value::Int(left)] => {
                    match wire::unpack(&names.hash, key, bytes, self.value_max_bytes) {
                        Ok(forecast) => {
                            self.tally.shared_hits.count();
                            let left = Duration::from_millis(u64::try_from(*left).unwrap_or(0));
                            return Found::Kept(Kept {
                                value: Arc::new(forecast),
                                fresh_until: Instant::now() + left,
                            });
                        }
                        Err(reason) => {
                            self.tally.refused.count();
                            tracing::warn!(series = %key.series, "bytes in Redis are refused: {reason}");
                            // Gone, it is computed and kept anew; a second look could find another, and so on.
                            self.call::<Value>(redis::cmd("DEL").arg(&names.value)).await;
                            return Found::Nothing;
                        }
                    }
                }
                [Value::Int(3)] if Instant::now() < patience => {
                    self.tally.lease_waits.count();
                    tokio::time::sleep(POLL).await;
                }
                _ => return Found::Nothing,
            }
        }
    }

    /// Shares a computed forecast for as long as it is fresh, and gives the lease back.
    pub(crate) async fn keep(&self, key: &BaseKey, kept: &Kept<Arc<Forecast>>) {
        let Some(names) = self.names(key).await else { return };
        let left = kept.fresh_until.saturating_duration_since(Instant::now());
        let packed = wire::pack(&names.hash, &kept.value, self.compress_min_bytes, self.value_max_bytes);
        let packed = packed.filter(|_| left.as_millis() > 0).unwrap_or_default();
        self.settle(&names, &packed, left).await;
    }

    /// Gives the lease back when there is nothing to share.
    pub(crate) async fn release(&self, key: &BaseKey) {
        if let Some(names) = self.names(key).await {
            self.settle(&names, &[], Duration::ZERO).await;
        }
    }

    async fn settle(&self, names: &Names, packed: &[u8], left: Duration) {
        let mut keep = redis::cmd("EVAL");
        keep.arg(KEEP).arg(2).arg(&names.value).arg(&names.lease);
        keep.arg(&self.node).arg(packed).arg(millis(left));
        self.call::<Value>(&keep).await;
    }

    /// Tells the other nodes that something about a series changed; of all of them for `None`, and when earlier news
    /// could not be told.
    pub(crate) async fn publish(&self, series: Option<&SeriesName>) {
        let Some(channel) = self.channel().await else { return };
        let all = self.untold.swap(false, Ordering::SeqCst);
        let name = series.filter(|_| !all).map_or("*", SeriesName::as_str);
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(channel).arg(format!("{} {name}", self.node));
        if self.call::<Value>(&publish).await.is_some() {
            self.tally.news_told.count();
        } else {
            self.untold.store(true, Ordering::SeqCst);
            self.tally.news_untold.count();
        }
    }

    /// Makes up for news that could not be told.
    pub(crate) async fn catch_up(&self) {
        if self.untold.load(Ordering::SeqCst) {
            self.publish(None).await;
        }
    }

    /// A connection that hears the news.
    pub(crate) async fn subscribe(&self) -> Option<redis::aio::PubSub> {
        let channel = self.channel().await?;
        let subscribe = async {
            let mut connection = self.client.get_async_pubsub().await?;
            connection.subscribe(channel).await?;
            Ok(connection)
        };
        self.guarded(subscribe).await
    }

    /// Adds counts of questions to those of all nodes, under the hour they were asked in.
    pub(crate) async fn count_questions(&self, hour: i64, asked: &[(Question, u64)]) {
        let Some(key) = self.hot_key(hour).await else { return };
        let mut adds = Pipeline::new();
        for (question, times) in asked {
            let Ok(text) = serde_json::to_string(question) else { continue };
            adds.cmd("ZINCRBY").arg(&key).arg(*times).arg(text).ignore();
        }
        let most = i64::try_from(hot::QUESTIONS_MAX).unwrap_or(i64::MAX);
        adds.cmd("ZREMRANGEBYRANK").arg(&key).arg(0).arg(-most - 1).ignore();
        adds.cmd("EXPIRE").arg(&key).arg((HOT_HOURS + 1) * 3_600).ignore();
        self.guarded(async { adds.query_async::<()>(&mut self.connection().await?).await }).await;
    }

    /// The questions that all nodes were asked most in the day up to an hour.
    pub(crate) async fn hottest(&self, hour: i64, max: usize) -> Vec<Question> {
        let mut reads = Pipeline::new();
        for hour in hour - HOT_HOURS..=hour {
            let Some(key) = self.hot_key(hour).await else { return Vec::new() };
            // Each hour's most: what is not among them in any hour is not among the day's most either, or barely.
            reads.cmd("ZREVRANGE").arg(key).arg(0).arg(max).arg("WITHSCORES");
        }
        let read = async { reads.query_async(&mut self.connection().await?).await };
        let hours: Vec<Vec<(String, f64)>> = self.guarded(read).await.unwrap_or_default();
        let mut sums = std::collections::HashMap::<String, f64>::new();
        for (text, times) in hours.into_iter().flatten() {
            *sums.entry(text).or_default() += times;
        }
        let read = |(text, times): (String, f64)| Some((serde_json::from_str(&text).ok()?, times as u64));
        hot::most(sums.into_iter().filter_map(read).collect(), max)
    }

    async fn hot_key(&self, hour: i64) -> Option<String> {
        Some(format!("forewatt:{}:hot:{hour}", self.identity().await?))
    }

    async fn channel(&self) -> Option<String> {
        Some(format!("forewatt:{}:news", self.identity().await?))
    }

    async fn names(&self, key: &BaseKey) -> Option<Names> {
        let identity = self.identity().await?;
        let hash = wire::name(key, self.settings);
        // The part in braces places both on one node of a cluster.
        let name = |what| format!("forewatt:{identity}:{{{hash}}}:{what}");
        Some(Names { value: name("forecast"), lease: name("lease"), hash })
    }

    /// Which store's answers these are: two stores may share one Redis.
    async fn identity(&self) -> Option<&String> {
        let read = self.identity.get_or_try_init(|| self.store.identity()).await;
        read.inspect_err(|error| tracing::warn!(%error, "Redis is left alone")).ok()
    }

    async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        self.guarded(async { command.query_async(&mut self.connection().await?).await }).await
    }

    /// Does something with Redis unless the breaker is open; within the time limit, or not at all.
    async fn guarded<T>(&self, work: impl Future<Output = RedisResult<T>>) -> Option<T> {
        let started = Instant::now();
        if !self.breaker.admits(started) {
            self.tally.skipped.count();
            return None;
        }
        let outcome = tokio::time::timeout(self.timeout, work).await;
        metrics::histogram!("forewatt_redis_call_seconds").record(started.elapsed().as_secs_f64());
        match outcome {
            Ok(Ok(answer)) => {
                self.answered();
                Some(answer)
            }
            Ok(Err(error)) if is_full(&error) => {
                // It answers, and reads go on.
                self.tally.full.count();
                self.answered();
                None
            }
            Ok(Err(error)) => {
                let count = if error.is_io_error() { &self.tally.cut } else { &self.tally.said };
                count.count();
                self.failed(&error.to_string()).await;
                None
            }
            Err(_) => {
                self.tally.slow.count();
                self.failed("no answer within cache.redis_timeout_ms").await;
                None
            }
        }
    }

    fn answered(&self) {
        if self.breaker.succeeded() {
            tracing::info!("Redis is back");
            self.back.notify_one();
        }
    }

    async fn failed(&self, reason: &str) {
        self.breaker.failed(Instant::now());
        // The next call makes a new one: answers to earlier questions may be on their way in this one.
        self.connection.lock().await.take();
        match self.breaker.state() {
            State::Open { .. } => tracing::warn!(reason, "Redis is left alone for a while"),
            _ => tracing::debug!(reason, "a call to Redis failed"),
        }
    }

    async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        let mut held = self.connection.lock().await;
        if let Some(connection) = held.as_ref() {
            return Ok(connection.clone());
        }
        // The limit of the whole call is ours; the library's would be counted as another kind of failure.
        let limits = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connection = self.client.get_multiplexed_async_connection_with_config(&limits).await?;
        *held = Some(connection.clone());
        Ok(connection)
    }
}

/// What lies where.
struct Names {
    value: String,
    lease: String,
    hash: String,
}

/// Checks a URL of Redis.
///
/// # Errors
/// What is wrong with it. The URL is not repeated: it may hold a password.
pub(crate) fn client(url: &str) -> Result<Client, String> {
    let form = "write redis://:PASSWORD@HOST:6379/0 or redis+unix:///PATH, or nothing to do without";
    if url.starts_with("rediss://") {
        return Err(format!("Redis over TLS is not built in: use a tunnel; {form}"));
    }
    Client::open(url).map_err(|_| format!("is no URL of Redis: {form}"))
}

/// Whether Redis has no room for more.
fn is_full(error: &RedisError) -> bool {
    error.code() == Some("OOM") || error.to_string().contains("OOM ")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
