//! Smaller versions over REST.

use serde_json::json;

use super::with_champion;

#[tokio::test]
async fn a_smaller_version_is_a_candidate_that_can_be_promoted() {
    let server = with_champion().await;
    let path = "/v1/models/city.load-v1:optimize";
    let refused = server.post(path, &json!({"max_loss": 2})).await.problem(400);
    assert!(refused.contains("max_loss"), "{refused}");
    let refused = server.post(path, &json!({"days": 0})).await.problem(400);
    assert!(refused.contains("days"), "{refused}");
    server.post(path, &json!({"shrink": true})).await.problem(400);
    server.post("/v1/models/city.load-v9:optimize", &json!({})).await.problem(404);
    // The champion of the fixture has nothing that could be smaller.
    let refused = server.post(path, &json!({})).await.problem(400);
    assert!(refused.contains("nothing to make smaller"), "{refused}");
}
