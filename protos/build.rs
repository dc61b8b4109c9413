//! Finds the descriptors of all of Envoy's messages, which the `envoy-types` package carries beside its code.

use std::{env, error::Error, fs, path::PathBuf, process::Command};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.toml");
    let descriptors = package_root("envoy-types")?.join("src/generated/types.bin");
    let bytes = fs::read(&descriptors).map_err(|error| format!("cannot read {}: {error}", descriptors.display()))?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("types.bin"), bytes)?;
    Ok(())
}

/// The folder of a dependency's sources, as `cargo metadata` knows it.
fn package_root(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new(env::var("CARGO")?)
        // For one platform: cargo would fetch what only others need.
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform", &env::var("TARGET")?])
        .current_dir(env::var("CARGO_MANIFEST_DIR")?)
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let manifest = metadata
        .get("packages")
        .and_then(serde_json::Value::as_array)
        .and_then(|packages| packages.iter().find(|package| package.get("name").is_some_and(|it| it == name)))
        .and_then(|package| package.get("manifest_path")?.as_str())
        .ok_or_else(|| format!("cargo metadata names no package {name}"))?;
    Ok(PathBuf::from(manifest).parent().map(PathBuf::from).unwrap_or_default())
}
