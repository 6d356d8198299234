//! Who is let in, in which order, and what is counted: real services behind the gate, bounded, without a clock.

use std::future::IntoFuture as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;
use forewatt_service::admission::Class;
use futures::FutureExt as _;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::http::{HttpOptions, middleware};

/// A route that tells when it begins and works until it is let go.
struct Bench {
    router: Router,
    begun: mpsc::UnboundedReceiver<String>,
    go: Arc<Semaphore>,
}

/// Work that tells when it is dropped before its end.
struct Work {
    who: String,
    tell: mpsc::UnboundedSender<String>,
    done: bool,
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.done {
            let _ = self.tell.send(format!("{} has gone", self.who));
        }
    }
}

fn bench(state: &AppState) -> Bench {
    let (tell, begun) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let work = move |request: axum::extract::Request| {
        let (tell, gate) = (tell.clone(), Arc::clone(&gate));
        async move {
            let who = request.headers()["who"].to_str().unwrap().to_owned();
            tell.send(who.clone()).unwrap();
            let mut work = Work { who, tell, done: false };
            gate.acquire().await.unwrap().forget();
            work.done = true;
        }
    };
    let router = Router::new()
        .route("/work", get(work))
        .layer(axum::middleware::from_fn_with_state(state.clone(), middleware::gate));
    Bench { router, begun, go }
}

fn ask(who: &str, priority: &str) -> Request<Body> {
    Request::get("/work").header("who", who).header("priority", priority).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn four_times_too_much_is_shed_in_the_order_of_classes() {
    let options = HttpOptions { concurrency_max: 4, admission: fixed_admission(4), ..options() };
    let server = empty_with(options).await;
    let mut bench = bench(&server.state);
    let refused = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    // Sixteen at once for four places: first who matters least.
    for (class, urgency) in [("background", "u=7"), ("batch", "u=5"), ("interactive", "u=0")] {
        for i in 0..if class == "interactive" { 8 } else { 4 } {
            let (router, refused) = (bench.router.clone(), Arc::clone(&refused));
            let mut work = Box::pin(async move {
                let reply = send(&router, ask(&format!("{class}-{i}"), urgency)).await;
                if reply.status == 503 {
                    assert_eq!(reply.header("retry-after"), "1");
                    refused.fetch_add(1, Ordering::SeqCst);
                }
            });
            // Asked in this order, whatever the runtime does next.
            if (&mut work).now_or_never().is_none() {
                tasks.push(tokio::spawn(work));
            }
        }
    }
    // Two background and one batch began; one interactive took the last place, four wait, three were refused.
    let waiting = Class::ALL.map(|class| server.state.admission.standing(class).waiting);
    assert_eq!((waiting, refused.load(Ordering::SeqCst)), ([4, 3, 2], 3));
    bench.go.add_permits(1_000);
    for task in tasks {
        task.await.unwrap();
    }
    let mut order = Vec::new();
    while let Ok(who) = bench.begun.try_recv() {
        order.push(who.split('-').next().unwrap().to_owned());
    }
    assert_eq!(order.len(), 13, "all that was not refused was done: {order:?}");
    let later = &order[4..];
    assert!(later[..4].iter().all(|class| class == "interactive"), "{order:?}");
    assert!(later[4..7].iter().all(|class| class == "batch"), "{order:?}");
    assert!(Class::ALL.iter().all(|&class| server.state.admission.standing(class).at_work == 0));
}

#[tokio::test]
async fn work_whose_client_has_gone_is_dropped() {
    let options = HttpOptions { concurrency_max: 1, admission: fixed_admission(4), ..options() };
    let server = empty_with(options).await;
    let mut bench = bench(&server.state);
    let mut first = Box::pin(send(&bench.router, ask("first", "")));
    let mut second = Box::pin(send(&bench.router, ask("second", "")));
    assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
    assert_eq!(server.state.admission.standing(Class::Interactive).waiting, 1);
    drop(second);
    assert_eq!(server.state.admission.standing(Class::Interactive).waiting, 0);
    drop(first);
    assert_eq!(server.state.admission.standing(Class::Interactive).at_work, 0);
    bench.go.add_permits(1);
    assert_eq!(send(&bench.router, ask("third", "")).await.status, 200);
    let mut told = Vec::new();
    while let Ok(who) = bench.begun.try_recv() {
        told.push(who);
    }
    assert_eq!(told, ["first", "first has gone", "third"]);
}

#[tokio::test]
async fn the_callers_time_is_kept_and_wrong_times_are_told() {
    let server = empty().await;
    let slow = Router::new()
        .route("/slow", get(std::future::pending::<()>))
        .layer(axum::middleware::from_fn_with_state(server.state.clone(), middleware::gate));
    let ask =
        |name: &str, value: &str| Request::get("/slow").header(name, value).body(Body::empty()).unwrap();
    assert!(send(&slow, ask("x-request-timeout-ms", "1")).await.problem(504).contains("1 ms"));
    assert!(send(&slow, ask("request-timeout", "0.002")).await.problem(504).contains("2 ms"));
    assert!(send(&slow, ask("request-timeout", "soon")).await.problem(400).contains("request-timeout"));
}

/// One request over a connection of its own; the status of the answer.
async fn call(address: std::net::SocketAddr, who: usize) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /work HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nwho: {who}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer.contains("retry-after: 1"), answer.contains(" 503 "), "{answer}");
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_real_server_under_four_times_its_load_serves_what_it_can() {
    let options = HttpOptions { concurrency_max: 3, admission: fixed_admission(2), ..options() };
    let server = empty_with(options).await;
    let mut bench = bench(&server.state);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(axum::serve(listener, bench.router.clone()).into_future());
    let mut calls: FuturesUnordered<_> = (0..12).map(|who| call(address, who)).collect();
    // Three work and two wait, whoever came first; no answer but a refusal can come before any work is done.
    for _ in 0..7 {
        assert_eq!(calls.next().await.unwrap(), 503);
    }
    assert_eq!(server.get("/health/ready").await.status, 200);
    bench.go.add_permits(5);
    for _ in 0..5 {
        assert_eq!(calls.next().await.unwrap(), 200);
    }
    while bench.begun.try_recv().is_ok() {}

    // A client that hangs up is noticed, and its work is dropped.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /work HTTP/1.1\r\nHost: localhost\r\nwho: hasty\r\n\r\n").await.unwrap();
    assert_eq!(bench.begun.recv().await.unwrap(), "hasty");
    drop(stream);
    assert_eq!(bench.begun.recv().await.unwrap(), "hasty has gone");
    serving.abort();
}
