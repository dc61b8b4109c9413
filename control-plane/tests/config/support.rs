//! Loading texts, and naming what came of it in few words.

use std::{
    fs,
    path::{Path, PathBuf},
};

use legation::{
    config::{self, Loaded},
    model::Model,
};

pub use crate::fuzzed::{filter_accepts, source};

/// A listener, a cluster `svc`, a plan `pro` and a consumer `alice` who has it and a key: what
/// parts of files refer to.
pub const REST: &str = "\
version: 1
listeners: [{name: http, port: 8000}]
clusters: [{name: svc, endpoints: ['svc:8080']}]
plans: [{name: pro, limits: [{limit: 600, window: 1m}]}]
consumers:
- name: alice
  plan: pro
  api_keys: [{sha256: 4e738ca5563c06cfd0018299933d58db1dd8bf97f6973dc99bf6cdc64b5550bd}]
";

/// A good route.
pub const ROUTE: &str = "{name: r, match: {prefix: /}, cluster: svc}";

/// Loads with an empty environment.
pub fn load(text: impl Into<Vec<u8>>) -> Loaded {
    config::load(&source(text), &|_| None)
}

/// The model of a file without errors, which the filter accepts too.
pub fn model(text: &str) -> Model {
    let loaded = load(text);
    let model = loaded.model.unwrap_or_else(|| panic!("{text}\n{:#?}", loaded.diagnostics));
    filter_accepts(&model);
    model
}

/// Each diagnostic as `line:column code`.
pub fn found(text: &str) -> Vec<String> {
    let loaded = load(text);
    loaded.diagnostics.iter().map(|found| format!("{}:{} {}", found.at.line, found.at.column, found.code)).collect()
}

/// The codes of what is wrong with one route, the rest of the file being good.
pub fn codes_of_route(route: &str) -> Vec<&'static str> {
    codes(&format!("{REST}routes:\n- {{name: r, {route}}}\n"))
}

/// The codes of what is wrong with a file.
pub fn codes(text: &str) -> Vec<&'static str> {
    load(text).diagnostics.iter().map(|found| found.code).collect()
}

/// The YAML files in a folder of this package, sorted.
pub fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|it| it == "yaml")).collect();
    files.sort();
    files
}
