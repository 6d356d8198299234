//! Who is let in, in which order, and what is counted: real services behind the gate, bounded, without a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;
use forewatt_service::admission::Class;
use futures::FutureExt as _;
use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::http::{HttpOptions, middleware};

/// A route that tells when it begins and works until it is let go.
struct Bench {
    router: Router,
    begun: mpsc::UnboundedReceiver<String>,
    go: Arc<Semaphore>,
}

fn bench(state: &AppState) -> Bench {
    let (tell, begun) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let work = move |request: axum::extract::Request| {
        let (tell, gate) = (tell.clone(), Arc::clone(&gate));
        async move {
            tell.send(request.headers()["who"].to_str().unwrap().to_owned()).unwrap();
            gate.acquire().await.unwrap().forget();
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
    assert_eq!(
        (bench.begun.recv().await.unwrap(), bench.begun.recv().await.unwrap()),
        ("first".into(), "third".into())
    );
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
