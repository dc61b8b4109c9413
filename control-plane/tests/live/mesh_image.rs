//! The image of the module that `scripts/oci-layout` writes. Other programs than those that wrote
//! it read it back.

use std::{fs, path::Path, process::Command};

use legation_testing::{mesh::module, root};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the content that a descriptor points to, and makes sure that its size and digest are
/// right.
fn blob(layout: &Path, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let bytes = fs::read(layout.join("blobs/sha256").join(digest)).unwrap();
    assert_eq!(Some(bytes.len() as u64), descriptor["size"].as_u64());
    assert_eq!(sha256(&bytes), digest);
    bytes
}

/// Returns what a program prints about a file.
fn said(program: &str, arguments: &[&str], file: &Path) -> Vec<u8> {
    let output = Command::new(program).args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn write(module: &Path, layout: &Path) -> String {
    let script = root().join("scripts/oci-layout");
    let output = Command::new(script).arg(module).arg(layout).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_image_is_what_istio_and_envoy_gateway_read_and_its_digest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let module = module(folder.path());
    let layout = folder.path().join("oci");
    let digest = write(&module, &layout);

    let json = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).unwrap();
    assert_eq!(json(fs::read(layout.join("oci-layout")).unwrap())["imageLayoutVersion"], "1.0.0");
    let index = json(fs::read(layout.join("index.json")).unwrap());
    assert_eq!((index["schemaVersion"].as_u64(), index["manifests"].as_array().unwrap().len()), (Some(2), 1));
    assert_eq!(index["manifests"][0]["digest"], digest.as_str());

    let manifest = json(blob(&layout, &index["manifests"][0]));
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["mediaType"], index["manifests"][0]["mediaType"]);
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    let [layer] = manifest["layers"].as_array().unwrap().as_slice() else { panic!("{manifest}") };
    assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    blob(&layout, layer);
    let layer = layout.join("blobs/sha256").join(layer["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap());

    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
    let config = json(blob(&layout, &manifest["config"]));
    let tar = said("gzip", &["--decompress", "--stdout", "--force"], &layer);
    assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!([format!("sha256:{}", sha256(&tar))]));
    assert_eq!(said("tar", &["--list", "--gzip", "--file"], &layer), b"plugin.wasm\n");
    let extracted = said("tar", &["--extract", "--to-stdout", "--gzip", "--file"], &layer);
    assert!(extracted == fs::read(&module).unwrap(), "the layer holds the module");

    // The script writes the same bytes on another day, over the old image, and elsewhere.
    let copy = folder.path().join("copy.wasm");
    fs::write(&copy, fs::read(&module).unwrap()).unwrap();
    assert_eq!(write(&copy, &layout), digest);
    assert_eq!(write(&copy, &folder.path().join("other")), digest);
}
