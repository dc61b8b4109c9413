//! Reads any bytes as the gateway file.

use std::sync::Arc;

use legation::{
    config::{self, Loaded, Source},
    diagnostic::{self, Severity},
    model::Model,
    translate::{self, Module},
};
use legation_filter::{compile, config as filter};

/// Returns a file of these bytes.
pub fn source(bytes: impl Into<Vec<u8>>) -> Source {
    Source { file: Arc::from("gateway.yaml"), bytes: bytes.into() }
}

/// Checks three things for any bytes: there is a model without errors, or there are errors without
/// a model; the errors can be rendered; and a model becomes resources that the filter accepts.
pub fn check(bytes: &[u8]) {
    let source = source(bytes);
    let Loaded { model, diagnostics } = config::load(&source, &|_| None);
    let has_error = diagnostics.iter().any(|found| found.severity == Severity::Error);
    assert_ne!(model.is_some(), has_error, "{diagnostics:?}");
    assert!(diagnostics.iter().all(|found| found.at.line > 0 && found.at.column > 0 && found.width > 0));
    assert!(diagnostics.is_sorted_by_key(|found| &found.at));
    diagnostic::render(&diagnostics, &source);
    if let Some(model) = model {
        filter_accepts(&model);
        let resources = translate::resources(&model, &[], &Module { bytes: b"module", sha256: "digest" });
        assert!(resources.iter().all(|(_, resource)| !resource.version.is_empty()));
    }
}

/// The filter must never refuse what the control plane sends it.
pub fn filter_accepts(model: &Model) {
    let config = filter::Config {
        version: 1,
        consumers: model.consumers.clone(),
        plans: model.plans.clone(),
        policies: model.routes.iter().filter_map(legation::translate::policy).collect(),
        ..filter::Config::default()
    };
    if let Err(problems) = compile::compile_config(&config, |_| None) {
        panic!("the filter refuses what the file may say: {problems:?}");
    }
}
