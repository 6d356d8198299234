//! Turns `proto/` into Rust: the compiler of protocol buffers is a crate, so the build needs no other program.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

/// Every file that describes a service, below `proto/`.
const FILES: [&str; 6] = [
    "forewatt/v1/accuracy.proto",
    "forewatt/v1/forecasts.proto",
    "forewatt/v1/models.proto",
    "forewatt/v1/observations.proto",
    "forewatt/v1/series.proto",
    "inference/oip.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let described = protox::compile(FILES, [&root])?;
    // What reflection answers with.
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin"), described.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_transport(false)
        // Only tests call; the executable answers.
        .client_mod_attribute(".", "#[cfg(test)]")
        .compile_fds(described)?;
    Ok(())
}
