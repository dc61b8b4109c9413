//! Copies the descriptors of Envoy's messages into the build.
//!
//! The `envoy-types` package carries the descriptors of all messages beside its code. A second,
//! smaller set has only what a client of this control plane's services needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    error::Error,
    fs,
    path::PathBuf,
    process::Command,
};

use prost::Message;

/// The files of the services that a control plane may serve.
const SERVICES: [&str; 8] = [
    "envoy/service/cluster/v3/cds.proto",
    "envoy/service/discovery/v3/ads.proto",
    "envoy/service/endpoint/v3/eds.proto",
    "envoy/service/extension/v3/config_discovery.proto",
    "envoy/service/listener/v3/lds.proto",
    "envoy/service/route/v3/rds.proto",
    "envoy/service/secret/v3/sds.proto",
    "envoy/service/status/v3/csds.proto",
];

/// `google.protobuf.FileDescriptorSet`. The files stay encoded: decoding and encoding them would
/// lose their options.
#[derive(Clone, PartialEq, Message)]
struct FileSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

/// The fields of `google.protobuf.FileDescriptorProto` that are read here.
#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "3")]
    dependency: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.toml");
    let descriptors = package_root("envoy-types")?.join("src/generated/types.bin");
    let bytes = fs::read(&descriptors).map_err(|error| format!("cannot read {}: {error}", descriptors.display()))?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("services.bin"), with_what_they_import(&bytes, &SERVICES)?)?;
    fs::write(out.join("types.bin"), bytes)?;
    Ok(())
}

/// Returns the set of the named files and of everything that they import.
fn with_what_they_import(set: &[u8], names: &[&str]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut files = BTreeMap::new();
    for encoded in FileSet::decode(set)?.file {
        let File { name, dependency } = File::decode(encoded.as_slice())?;
        files.insert(name, (encoded, dependency));
    }
    let mut wanted = BTreeSet::new();
    let mut next: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    while let Some(name) = next.pop() {
        let (_, dependencies) = files.get(&name).ok_or_else(|| format!("the descriptors have no {name}"))?;
        next.extend(dependencies.iter().filter(|name| !wanted.contains(*name)).cloned());
        wanted.insert(name);
    }
    let file = files.into_iter().filter(|(name, _)| wanted.contains(name)).map(|(_, (encoded, _))| encoded).collect();
    Ok(FileSet { file }.encode_to_vec())
}

/// Returns the folder of a dependency's sources, as `cargo metadata` knows it.
fn package_root(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new(env::var("CARGO")?)
        // For one platform only. Otherwise cargo fetches packages that other platforms need.
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
