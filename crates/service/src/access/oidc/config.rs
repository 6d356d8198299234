//! `[auth.oidc]`: whose tokens open beside keys. Defaults live in `config/default.toml` alone.

use std::path::PathBuf;

use forewatt_domain::Scope;
use serde::{Deserialize, Serialize};

/// The longest name of an issuer or audience, in bytes.
const NAME_MAX_BYTES: usize = 512;
/// The most entries of the map of scopes.
const SCOPES_MAX: usize = 100;

/// `[auth.oidc]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// The claim `iss` of the tokens that open, letter for letter; empty: no token opens.
    pub issuer: String,
    /// What the claim `aud` must be or hold.
    pub audience: String,
    /// Where the issuer publishes its public keys (JWKS, RFC 7517).
    pub jwks_url: String,
    /// The same as a file, in place of the URL.
    pub jwks_file: PathBuf,
    /// The claim that holds scopes, a text with spaces or a list; beginning with `/`, a JSON pointer (RFC 6901).
    pub scopes_claim: String,
    /// What values of that claim stand for: `value=scope`. Other values give nothing.
    pub scope_map: Vec<String>,
    /// The claim that holds patterns of series, named as `scopes_claim`; empty: every series.
    pub series_claim: String,
    /// How far clocks may be apart, in seconds.
    pub leeway_s: u32,
    /// How long the issuer's keys are believed before it is asked again, in ms.
    pub keys_ttl_ms: u64,
    /// How much longer they are believed while the issuer does not answer, in ms.
    pub keys_stale_max_ms: u64,
    /// The time between two questions about keys that are not known, or that failed, in ms.
    pub keys_ask_again_ms: u64,
    /// The longest token, in bytes.
    pub token_max_bytes: usize,
}

impl OidcConfig {
    /// Whether tokens can open at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.issuer.is_empty()
    }

    /// What cannot be, a line each, with its key; empty when all is well.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let no_file = self.jwks_file.as_os_str().is_empty();
        if !self.is_on() {
            let is_rest_empty = self.audience.is_empty() && self.jwks_url.is_empty() && no_file;
            let lost = "auth.oidc.issuer: is empty, so no token opens: name the claim `iss` of the tokens";
            return if is_rest_empty { Vec::new() } else { vec![lost.to_owned()] };
        }
        let mut found = Vec::new();
        let mut hold = |good: bool, text: &str| {
            if !good {
                found.push(format!("auth.oidc.{text}"));
            }
        };
        let is_name = |text: &str| text.len() <= NAME_MAX_BYTES && !text.chars().any(char::is_control);
        hold(is_name(&self.issuer), "issuer: is no name of at most 512 printable characters");
        hold(
            !self.audience.is_empty() && is_name(&self.audience),
            "audience: name this server as the issuer knows it, or tokens for other servers would open here",
        );
        hold(self.jwks_url.is_empty() != no_file, "jwks_url: name either it or auth.oidc.jwks_file");
        hold(
            self.jwks_url.is_empty() || is_safe(&self.jwks_url),
            "jwks_url: must be https://, for whoever changes keys on their way makes tokens (http:// only to this \
             computer)",
        );
        hold(!self.scopes_claim.is_empty(), "scopes_claim: name the claim that holds scopes, such as scope");
        hold((1..=SCOPES_MAX).contains(&self.scope_map.len()), "scope_map: needs 1 to 100 entries");
        for entry in &self.scope_map {
            if let Err(reason) = mapping(entry) {
                found.push(format!("auth.oidc.scope_map: {reason}"));
            }
        }
        found
    }

    /// The entries of the map that can be read; a checked configuration has no others.
    pub(super) fn scopes(&self) -> Vec<(String, Scope)> {
        self.scope_map.iter().filter_map(|entry| mapping(entry).ok()).collect()
    }
}

/// `value=scope`; a value may hold `=` itself.
fn mapping(entry: &str) -> Result<(String, Scope), String> {
    let (value, scope) = entry
        .rsplit_once('=')
        .filter(|(value, _)| !value.is_empty())
        .ok_or_else(|| format!("`{entry}` is not value=scope, as in forecast-readers=read"))?;
    Ok((value.to_owned(), scope.parse::<Scope>().map_err(|error| error.to_string())?))
}

/// Whether nobody on the way can change what a URL gives.
fn is_safe(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return url.starts_with("https://") };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    matches!(host, "127.0.0.1" | "localhost" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> OidcConfig {
        OidcConfig {
            issuer: "https://issuer.example/".to_owned(),
            audience: "forewatt".to_owned(),
            jwks_url: "https://issuer.example/keys".to_owned(),
            jwks_file: PathBuf::new(),
            scopes_claim: "scope".to_owned(),
            scope_map: vec!["read=read".to_owned()],
            series_claim: String::new(),
            leeway_s: 0,
            keys_ttl_ms: 1_000,
            keys_stale_max_ms: 1_000,
            keys_ask_again_ms: 1_000,
            token_max_bytes: 1_000,
        }
    }

    #[test]
    fn what_cannot_be_is_told_with_its_key() {
        assert_eq!(config().problems(), Vec::<String>::new());
        type Change = fn(&mut OidcConfig);
        let cases: [(&str, Change); 10] = [
            ("issuer: is empty", |c| c.issuer.clear()),
            ("issuer: is no name", |c| c.issuer.push('\n')),
            ("audience: ", |c| c.audience.clear()),
            ("jwks_url: name either", |c| c.jwks_file = "keys.json".into()),
            ("jwks_url: name either", |c| c.jwks_url.clear()),
            ("jwks_url: must be https", |c| c.jwks_url = "http://issuer.example/keys".to_owned()),
            ("jwks_url: must be https", |c| c.jwks_url = "http://127.0.0.1@issuer.example/".to_owned()),
            ("scopes_claim: ", |c| c.scopes_claim.clear()),
            ("scope_map: needs", |c| c.scope_map.clear()),
            ("scope_map: `root` is not a scope", |c| c.scope_map.push("ops=root".to_owned())),
        ];
        for (told, change) in cases {
            let mut config = config();
            change(&mut config);
            let found = config.problems();
            assert!(found[0].starts_with(&format!("auth.oidc.{told}")), "{told}: {found:?}");
        }
        for good in ["https://issuer.example/keys", "http://127.0.0.1:8/keys", "http://[::1]:8/keys"] {
            assert!(is_safe(good), "{good}");
        }
        assert_eq!(mapping("urn:a=b=read").unwrap(), ("urn:a=b".to_owned(), Scope::Read));
    }
}
