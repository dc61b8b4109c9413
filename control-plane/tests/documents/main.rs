//! What the repository shows people is true: examples and the README's files are valid, the
//! bootstrap that Compose mounts is the one that the command writes, and the golden files become
//! the resources that are written down beside them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

mod golden;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use legation_testing::root;

fn legation(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_legation")).args(arguments).output().unwrap()
}

fn output(arguments: &[&str]) -> String {
    let output = legation(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_example_is_valid_without_a_warning() {
    let examples = fs::read_dir(root().join("examples")).unwrap();
    let files: Vec<_> =
        examples.map(|entry| entry.unwrap().path().join("gateway.yaml")).filter(|it| it.exists()).collect();
    assert!(!files.is_empty());
    for file in files {
        let (_copy, file) = with_certificates(file);
        let validated = legation(&["validate", "--strict", file.to_str().unwrap()]);
        assert!(validated.status.success(), "{}", String::from_utf8_lossy(&validated.stdout));
    }
}

/// Certificates are not kept in the repository: an example that needs some has a script that makes
/// them, in a copy here.
fn with_certificates(file: PathBuf) -> (Option<tempfile::TempDir>, PathBuf) {
    let script = file.with_file_name("make-certificates");
    if !script.exists() {
        return (None, file);
    }
    let copy = tempfile::tempdir().unwrap();
    for original in [&file, &script] {
        fs::copy(original, copy.path().join(original.file_name().unwrap())).unwrap();
    }
    let made = Command::new(copy.path().join("make-certificates")).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = copy.path().join("gateway.yaml");
    (Some(copy), file)
}

#[test]
fn the_static_envoy_of_the_examples_is_valid_and_only_its_admin_interface_stays() {
    let file = root().join("examples/static-envoy/envoy.yaml");
    let said = output(&["validate", file.to_str().unwrap()]);
    assert_eq!(said.matches("warning[").count(), 1, "{said}");
    assert!(said.contains("`admin` is not served"), "{said}");
}

#[test]
fn a_raw_resource_has_its_place_in_a_static_configuration_too() {
    let file = root().join("examples/raw/gateway.yaml");
    let written = output(&["dump", "--static", file.to_str().unwrap()]);
    let value: serde_json::Value = serde_yaml::from_str(&written).unwrap();
    assert_eq!(value["static_resources"]["listeners"][1]["name"], "tcp");
    assert_eq!(value["static_resources"]["clusters"][0]["health_checks"][0]["http_health_check"]["path"], "/healthz");
}

#[test]
fn the_readmes_smallest_file_is_valid_without_a_warning() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let yaml = readme.split_once("```yaml\n").unwrap().1.split_once("```").unwrap().0;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gateway.yaml");
    fs::write(&file, yaml).unwrap();
    let validated = legation(&["validate", "--strict", file.to_str().unwrap()]);
    assert!(validated.status.success(), "{}", String::from_utf8_lossy(&validated.stdout));
}

#[test]
fn the_readmes_bad_file_is_answered_as_it_says() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let said = readme.split_once("$ legation validate gateway.yaml\n").unwrap().1.split_once("```").unwrap().0;
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("gateway.yaml"), fs::read(root().join("control-plane/tests/readme.yaml")).unwrap())
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_legation"));
    let validated = command.current_dir(&directory).args(["validate", "gateway.yaml"]).output().unwrap();
    assert_eq!(String::from_utf8(validated.stdout).unwrap(), said);
}

#[test]
fn the_bootstrap_that_compose_mounts_is_what_the_command_writes() {
    let mounted = fs::read_to_string(root().join("envoy/bootstrap.yaml")).unwrap();
    let written = output(&["bootstrap", "--node-id", "gateway-1", "--xds", "control-plane:18000"]);
    let value = |text: &str| serde_yaml::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(value(&mounted), value(&written));
}
