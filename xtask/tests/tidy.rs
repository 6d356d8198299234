//! The rules of the house hold for every file of the repository.

#[test]
fn the_repository_is_tidy() {
    let violations = xtask::tidy::check(&xtask::root()).unwrap();
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} broken rules:\n{}", lines.len(), lines.join("\n"));
}
