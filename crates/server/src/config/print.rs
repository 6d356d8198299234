//! The configuration in force, printed with its comments and without its secrets.

use figment::Figment;
use figment::value::Value;

use super::DEFAULT;

/// Shown in place of a secret.
const HIDDEN: &str = "(hidden)";
/// A key whose last word is one of these holds a secret.
const SECRET_WORDS: [&str; 5] = ["password", "pass", "secret", "token", "key"];

/// The default file with the values in force in place of the defaults, each with its source when it is another.
pub(super) fn toml(figment: &Figment) -> String {
    let mut section = String::new();
    let mut text = String::new();
    for line in DEFAULT.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        }
        let replaced = line
            .split_once(" = ")
            .filter(|(key, _)| !key.starts_with('#'))
            .and_then(|(key, default)| in_force(figment, &section, key, default));
        text.push_str(replaced.as_deref().unwrap_or(line));
        text.push('\n');
    }
    text
}

/// The line for a key that some layer above the defaults set.
fn in_force(figment: &Figment, section: &str, key: &str, default: &str) -> Option<String> {
    let path = format!("{section}.{key}");
    let value = figment.find_value(&path).ok()?;
    let origin = figment.get_metadata(value.tag()).map(|m| m.name.to_string())?;
    if origin == "config/default.toml" {
        return is_secret(key).then(|| format!("{key} = {}", hide_text(default)));
    }
    let shown = if is_secret(key) { format!("{HIDDEN:?}") } else { literal(&value) };
    Some(format!("{key} = {shown}  # from {origin}"))
}

fn hide_text(default: &str) -> String {
    if default == "\"\"" { default.to_owned() } else { format!("{HIDDEN:?}") }
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("{:?}", without_credentials(text)),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, number) => {
            let whole =
                number.to_i128().map(|n| n.to_string()).or_else(|| number.to_u128().map(|n| n.to_string()));
            whole.or_else(|| number.to_f64().map(|n| format!("{n:?}"))).unwrap_or_default()
        }
        Value::Array(_, items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        other => format!("{other:?}"),
    }
}

/// The same document with every secret hidden.
pub(super) fn redacted(document: serde_json::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match document {
        Json::Object(fields) => {
            let hide = |(key, value): (String, Json)| match value {
                Json::String(text) if is_secret(&key) && !text.is_empty() => (key, Json::from(HIDDEN)),
                other => (key, redacted(other)),
            };
            Json::Object(fields.into_iter().map(hide).collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(redacted).collect()),
        Json::String(text) => Json::String(without_credentials(&text)),
        other => other,
    }
}

fn is_secret(key: &str) -> bool {
    let last = key.rsplit('_').next().unwrap_or(key);
    SECRET_WORDS.contains(&last)
}

/// `postgres://user:pass@host/db?password=pass` without `pass`; rather too much hidden than too little, for a password
/// may hold characters that a URL should not.
fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let hidden = rest.rsplit_once('@').and_then(|(credentials, host)| {
        let (user, _) = credentials.split_once(':')?;
        Some(format!("{user}:{HIDDEN}@{host}"))
    });
    let rest = hidden.unwrap_or_else(|| rest.to_owned());
    let Some((address, query)) = rest.split_once('?') else { return format!("{scheme}://{rest}") };
    let hide = |pair: &str| match pair.split_once('=') {
        Some((key, _)) if is_secret(key) => format!("{key}={HIDDEN}"),
        _ => pair.to_owned(),
    };
    let query: Vec<String> = query.split('&').map(hide).collect();
    format!("{scheme}://{address}?{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        let document = serde_json::json!({
            "store": { "url": "postgres://me:hunter2@db/x", "password": "hunter2", "token": "" },
            "list": [{ "api_key": "hunter2" }],
            "n": 1
        });
        let shown = redacted(document).to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("postgres://me:(hidden)@db/x") && shown.contains("\"token\":\"\""), "{shown}");
        assert_eq!(without_credentials("http://host/a@b"), "http://host/a@b");
        for url in [
            "postgres://me:hun/ter2@db/x",
            "postgres://me:hun@ter2@db/x",
            "postgres://me@db/x?sslmode=require&password=hunter2",
            "postgres://me:hun?ter2@db/x",
        ] {
            let shown = without_credentials(url);
            assert!(!shown.contains("ter2") && shown.contains("@db/x"), "{shown}");
        }
        assert_eq!(without_credentials("redis://:hunter2@cache/0"), "redis://:(hidden)@cache/0");
        assert!(!without_credentials("redis+unix:///run/redis.sock?pass=hunter2").contains("hunter2"));
        assert_eq!(hide_text("\"x\""), "\"(hidden)\"");
        assert!(is_secret("password") && is_secret("s3_secret_key") && !is_secret("keyboard"));
    }

    #[test]
    fn overridden_values_say_their_source_and_stay_toml() {
        use figment::providers::{Format, Toml};
        let layer = |origin: &str, text: &str| super::super::parse(origin, text).unwrap();
        let figment = Figment::from(layer("config/default.toml", DEFAULT)).merge(layer(
            "my.toml",
            "[server]\nlisten = \"127.0.0.1:9\"\n[forecast]\nlevels = [0.25, 0.5]\n",
        ));
        let text = toml(&figment);
        assert!(text.contains("listen = \"127.0.0.1:9\"  # from my.toml"), "{text}");
        assert!(text.contains("levels = [0.25, 0.5]  # from my.toml"), "{text}");
        let again: super::super::Config = Figment::from(Toml::string(&text)).extract().unwrap();
        assert_eq!(again.server.listen, "127.0.0.1:9");
    }
}
