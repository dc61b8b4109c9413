//! The gateway filter's configuration (ECDS): one resource, which carries the module too.
//!
//! The module travels inside (`inline_bytes`) and is never fetched by Envoy: a new digest of a `remote` module made a real
//! Envoy 1.40 drop the running filter and let every request through unfiltered.

use legation_filter::config::{Config, Policy, Rule};
use legation_protos::{
    pack,
    pb::{
        envoy::{
            config::core::v3::{
                AsyncDataSource, BackoffStrategy, DataSource, TypedExtensionConfig, async_data_source, data_source,
            },
            extensions::{
                filters::http::wasm::v3::Wasm,
                wasm::v3::{FailurePolicy, PluginConfig, ReloadConfig, VmConfig, plugin_config::Vm},
            },
        },
        google::protobuf::{self, StringValue},
    },
};
use serde::Serialize;

use crate::model::Model;

/// The filter's name in the chain, in ECDS and in `typed_per_filter_config`.
pub const FILTER_NAME: &str = "legation";

/// The filter's module: WebAssembly, and a digest of it that moves its resource's version.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// The `.wasm`.
    pub bytes: &'static [u8],
    /// SHA-256 in hexadecimal.
    pub sha256: &'static str,
}

/// What the resource is made from.
#[derive(Serialize)]
pub(super) struct FilterFragment<'a> {
    module: &'a str,
    pub(super) config: Config,
}

pub(super) fn fragment<'a>(model: &Model, module: &'a Module) -> FilterFragment<'a> {
    // Sorted, so that moving things about in the file changes nothing; nothing here depends on order, since route names
    // are unique.
    let mut policies: Vec<Policy> = model.routes.iter().filter_map(|route| route.policy.clone()).collect();
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    let rules = policies
        .iter()
        .map(|policy| Rule {
            route: Some(policy.name.clone()),
            hosts: Vec::new(),
            prefix: None,
            policy: policy.name.clone(),
        })
        .collect();
    let mut consumers = model.consumers.clone();
    consumers.sort_by(|a, b| a.name.cmp(&b.name));
    let mut plans = model.plans.clone();
    plans.sort_by(|a, b| a.name.cmp(&b.name));
    FilterFragment { module: module.sha256, config: Config { version: 1, consumers, plans, policies, rules } }
}

pub(super) fn extension(fragment: &FilterFragment<'_>, module: &Module) -> TypedExtensionConfig {
    TypedExtensionConfig { name: FILTER_NAME.to_owned(), typed_config: Some(pack(&wasm(fragment, module))) }
}

/// The filter as Envoy's wasm filter takes it.
pub(super) fn wasm(fragment: &FilterFragment<'_>, module: &Module) -> Wasm {
    let configuration = serde_json::to_string(&fragment.config).unwrap_or_default();
    let code = DataSource {
        specifier: Some(data_source::Specifier::InlineBytes(module.bytes.to_vec())),
        ..DataSource::default()
    };
    Wasm {
        config: Some(PluginConfig {
            name: FILTER_NAME.to_owned(),
            configuration: Some(pack(&StringValue { value: configuration })),
            // A trap must neither open the gate nor close it for good.
            failure_policy: FailurePolicy::FailReload.into(),
            reload_config: Some(ReloadConfig {
                backoff: Some(BackoffStrategy {
                    base_interval: Some(protobuf::Duration { seconds: 0, nanos: 100_000_000 }),
                    max_interval: None,
                }),
            }),
            vm: Some(Vm::VmConfig(VmConfig {
                // The name space of the filter's shared data, in which limits are counted.
                vm_id: FILTER_NAME.to_owned(),
                runtime: "envoy.wasm.runtime.v8".to_owned(),
                code: Some(AsyncDataSource { specifier: Some(async_data_source::Specifier::Local(code)) }),
                ..VmConfig::default()
            })),
            ..PluginConfig::default()
        }),
    }
}
