//! The configuration that measurements start from: that of `config/default.toml`.

use forewatt_service::config::Config;

/// The service's sections of `config/default.toml`; the others are the server's.
pub fn defaults() -> Result<Config, toml::de::Error> {
    const SECTIONS: [&str; 8] =
        ["forecast", "cache", "train", "limits", "explain", "outward", "degradation", "batching"];
    let mut document: toml::Table = toml::from_str(include_str!("../../../../config/default.toml"))?;
    document.retain(|section, _| SECTIONS.contains(&section));
    document.try_into()
}
