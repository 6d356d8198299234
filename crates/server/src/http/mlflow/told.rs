//! Series and versions in MLflow's words.

use forewatt_service::LabelKind;
use forewatt_service::domain::{ModelVersion, Time};
use forewatt_service::registry::Registered;
use serde_json::{Value, json};

/// Tags of this prefix tell what the registry knows itself; they cannot be set.
pub const OWN_TAGS: &str = "forewatt.";

/// The number of a version: the end of its id.
pub fn number(version: &ModelVersion) -> &str {
    version.id.as_str().rsplit_once("-v").map_or("", |(_, number)| number)
}

fn millis(time: Time) -> i64 {
    time.micros() / 1_000
}

/// MLflow's old word for where a version stands.
pub fn stage<'a>(model: &'a Registered, version: &ModelVersion) -> &'a str {
    let named = |alias: &str| model.aliases.get(alias) == Some(&version.id);
    if named("champion") {
        "Production"
    } else if named("challenger") {
        "Staging"
    } else {
        model.label(version.id.as_str(), LabelKind::Stage).unwrap_or("None")
    }
}

/// Where a version's bytes are; they are Forewatt's own and nobody else's to load.
pub fn source(version: &ModelVersion) -> String {
    format!("forewatt:/{}", version.id)
}

/// The tags of a version: what people hung on it, and what the registry knows.
pub fn tags(model: &Registered, version: &ModelVersion) -> Vec<(String, String)> {
    let hung = model.tags(version.id.as_str()).map(|(key, value)| (key.to_owned(), value.to_owned()));
    let known = [
        ("family", version.recipe.family.to_string()),
        ("id", version.id.to_string()),
        ("recipe_id", version.recipe_id.clone()),
        ("sha256", version.artifact_sha256.clone()),
    ];
    let known = known.into_iter().map(|(key, value)| (format!("{OWN_TAGS}{key}"), value));
    let scores = ["pinball", "mae"].into_iter();
    let scores =
        scores.filter_map(|name| Some((format!("{OWN_TAGS}{name}"), version.metrics.get(name)?.to_string())));
    hung.chain(known).chain(scores).collect()
}

fn pairs<'a>(tags: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Value> {
    tags.map(|(key, value)| json!({"key": key, "value": value})).collect()
}

/// A version.
pub fn version(model: &Registered, version: &ModelVersion) -> Value {
    let tags = tags(model, version);
    let aliases: Vec<&String> =
        model.aliases.iter().filter(|(_, id)| **id == version.id).map(|(alias, _)| alias).collect();
    json!({
        "name": version.series,
        "version": number(version),
        "creation_timestamp": millis(version.created_at),
        "last_updated_timestamp": millis(version.created_at),
        "current_stage": stage(model, version),
        "description": model.label(version.id.as_str(), LabelKind::Description).unwrap_or_default(),
        "source": source(version),
        "run_id": "",
        "status": "READY",
        "tags": pairs(tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))),
        "aliases": aliases,
    })
}

/// The newest version of every stage that is asked for; of all when none is.
pub fn latest<'a>(model: &'a Registered, stages: &[String]) -> Vec<&'a ModelVersion> {
    let mut found: Vec<(&str, &ModelVersion)> = Vec::new();
    for version in &model.versions {
        let stage = stage(model, version);
        let wanted = stages.is_empty() || stages.iter().any(|wanted| wanted.eq_ignore_ascii_case(stage));
        if wanted && !found.iter().any(|(known, _)| *known == stage) {
            found.push((stage, version));
        }
    }
    found.into_iter().map(|(_, version)| version).collect()
}

/// When anything of a model came last.
pub fn updated(model: &Registered) -> i64 {
    model.versions.first().map_or(0, |version| millis(version.created_at))
}

/// A series as a registered model.
pub fn model(model: &Registered) -> Value {
    let name = &model.info.series.name;
    let created = model.versions.last().map_or(0, |version| millis(version.created_at));
    let latest: Vec<Value> = latest(model, &[]).into_iter().map(|one| version(model, one)).collect();
    let number = |id: &str| id.rsplit_once("-v").map_or(String::new(), |(_, number)| number.to_owned());
    let aliases = model.aliases.iter();
    let aliases: Vec<Value> =
        aliases.map(|(alias, id)| json!({"alias": alias, "version": number(id.as_str())})).collect();
    json!({
        "name": name,
        "creation_timestamp": created,
        "last_updated_timestamp": updated(model),
        "description": model.label("", LabelKind::Description).unwrap_or_default(),
        "latest_versions": latest,
        "tags": pairs(model.tags("")),
        "aliases": aliases,
    })
}
