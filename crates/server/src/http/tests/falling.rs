//! How an answer says that another answered for the champion: in the document and in the headers.

use super::*;

#[tokio::test]
async fn a_fallback_is_told_in_the_document_and_in_the_headers() {
    let server = with_champion().await;
    let path = "/v1/series/city.load/forecast?horizon=PT12H";
    let first = server.get(path).await;
    assert_eq!((first.header("forewatt-fallback"), first.header("forewatt-degraded")), ("", ""));
    assert_eq!(first.json().get("fallback"), None);

    let id = server.service.list_versions(None, None).await.unwrap()[0].id.clone();
    let mut folders = vec![server._folder.path().to_owned()];
    let sha = server.service.version(&id).await.unwrap().artifact_sha256;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(&sha) {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    server.service.drop_from_memory(&id).await;
    let fallen = server.get(path).await;
    assert_eq!(fallen.status, 200);
    assert_eq!(fallen.header("forewatt-fallback"), "seasonal-empirical");
    assert_eq!(fallen.header("forewatt-degraded"), "true");
    assert_eq!(fallen.json()["fallback"], "seasonal-empirical");
    assert!(fallen.json()["degraded"].as_str().unwrap().contains(id.as_str()));
    assert_ne!(fallen.header("etag"), first.header("etag"));
    let infer = server.post("/v2/models/city.load/infer", &json!({"inputs": []})).await;
    assert_eq!(infer.json()["parameters"]["fallback"], "seasonal-empirical");
    // Who asks for the version itself is told what is wrong with it.
    server.get(&format!("{path}&version={id}")).await.problem(500);
}
