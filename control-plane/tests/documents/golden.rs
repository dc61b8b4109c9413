//! Golden cases. The folder `golden/PART/WORD` has a gateway file that uses a word of a part of the
//! file, `in.yaml`, and beside it the resources that it becomes, a file a kind: `listeners.yaml`,
//! `routes.yaml` and so on. Left out are resources that the smallest gateway, `golden/base`, has,
//! too: a case shows what its word changes.
//!
//! `UPDATE_GOLDEN=1 cargo test -p legation --test documents golden` writes the files instead of
//! comparing them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use legation::{
    config::{self, Source},
    filter_module::MODULE,
    translate,
};
use legation_protos::{ResourceType, descriptors};
use legation_testing::root;
use serde_json::{Value, json};

/// The name of the file of each kind, and what is in it.
type Files = BTreeMap<String, String>;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The folders in a folder, sorted.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

/// The resources of a case by kind and name.
fn resources(case: &Path) -> BTreeMap<(ResourceType, String), Value> {
    let file = case.join("in.yaml");
    let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let loaded = config::load(&Source { file: "in.yaml".into(), bytes }, &|_| None);
    // Warnings are allowed: a case has things that nothing uses.
    let model = loaded.model.unwrap_or_else(|| panic!("{}: {:#?}", file.display(), loaded.diagnostics));
    let resources = translate::resources(&model, &[], &MODULE);
    let as_value = |(kind, resource): (ResourceType, legation::snapshot::Resource)| {
        let mut value = descriptors::to_value(kind.type_url(), &resource.body).unwrap();
        make_readable(&mut value);
        ((kind, resource.name.to_string()), value)
    };
    resources.into_iter().map(as_value).collect()
}

/// Shows the filter's configuration as what it is, and not the module: every change of the filter
/// gives that another digest.
fn make_readable(resource: &mut Value) {
    let Some(plugin) = resource.pointer_mut("/typed_config/config") else { return };
    if let Some(code) = plugin.pointer_mut("/vm_config/code") {
        *code = json!("<module>");
    }
    if let Some(text) = plugin.pointer_mut("/configuration/value") {
        *text = serde_json::from_str(text.as_str().unwrap()).unwrap();
    }
}

/// Returns what is to be written down for a case: its resources, without those that `others` has,
/// too.
fn files(
    resources: BTreeMap<(ResourceType, String), Value>,
    others: &BTreeMap<(ResourceType, String), Value>,
) -> Files {
    let mut kinds = BTreeMap::<_, Vec<Value>>::new();
    for ((kind, name), resource) in resources {
        if others.get(&(kind, name)) != Some(&resource) {
            kinds.entry(kind.noun()).or_default().push(resource);
        }
    }
    let file = |(kind, list): (&str, Vec<Value>)| (format!("{kind}.yaml"), serde_yaml::to_string(&list).unwrap());
    kinds.into_iter().map(file).collect()
}

/// Returns the files beside `in.yaml`.
fn written(case: &Path) -> Files {
    let entries = fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path());
    let outputs = entries.filter(|path| path.is_file() && !path.ends_with("in.yaml"));
    let file =
        |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap());
    outputs.map(file).collect()
}

#[test]
fn golden_files_become_the_resources_that_are_written_down() {
    let base = golden().join("base");
    let of_base = resources(&base);
    let mut cases: Vec<_> = folders(&golden()).iter().flat_map(|part| folders(part)).collect();
    assert!(cases.len() > 15, "the cases are found: {cases:?}");
    cases.push(base.clone());
    let mut different = Vec::new();
    for case in cases {
        let others = if case == base { BTreeMap::new() } else { of_base.clone() };
        let (found, expected) = (files(resources(&case), &others), written(&case));
        assert!(!found.is_empty(), "{} shows nothing", case.display());
        if found == expected {
            continue;
        }
        if std::env::var_os("UPDATE_GOLDEN").is_none() {
            let lines =
                |files: &Files| files.iter().map(|(name, text)| format!("# {name}\n{text}")).collect::<String>();
            different.push(format!("{}: expected\n{}found\n{}", case.display(), lines(&expected), lines(&found)));
            continue;
        }
        for name in expected.keys() {
            fs::remove_file(case.join(name)).unwrap();
        }
        for (name, text) in found {
            fs::write(case.join(name), text).unwrap();
        }
    }
    assert!(different.is_empty(), "{}\nIf that is meant, run with UPDATE_GOLDEN=1", different.join("\n"));
}

/// The words of `golden/base` itself, and those whose meaning is in files that are not read here.
const IN_NO_CASE: &[&str] = &[
    "file/version",
    "file/listeners",
    "file/routes",
    "file/clusters",
    "file/key_pepper_file",
    "listener/port",
    "route/cluster",
];

#[test]
fn every_word_of_a_part_has_a_golden_case() {
    let schema = fs::read_to_string(root().join("docs/gateway.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let part = |name: &str| &schema["$defs"][name];
    let mut missing = Vec::new();
    for (name, part) in
        [("file", &schema), ("route", part("route")), ("cluster", part("cluster")), ("listener", part("listener"))]
    {
        let words = part["properties"].as_object().unwrap_or_else(|| panic!("{name} is in the schema"));
        let words = words.keys().filter(|word| *word != "name").map(|word| format!("{name}/{word}"));
        missing.extend(
            words.filter(|word| !IN_NO_CASE.contains(&word.as_str()) && !golden().join(word).join("in.yaml").exists()),
        );
    }
    assert!(missing.is_empty(), "no golden case has {missing:?}");
}
