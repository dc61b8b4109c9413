//! The gateway filter's configuration (ECDS): one resource with the module, the consumers and their
//! plans. A route's policy travels with the route ([`super::route`]).
//!
//! The module travels inside the resource (`inline_bytes`). Envoy must never fetch it: when the
//! digest of a `remote` module changed, Envoy 1.40 dropped the running filter and let every request
//! through unfiltered.

use std::sync::Arc;

use legation_filter::config::{Config, Pepper};
use legation_protos::{
    ResourceType, pack,
    pb::{
        envoy::{
            config::core::v3::{AsyncDataSource, BackoffStrategy, DataSource, async_data_source, data_source},
            extensions::{
                filters::http::wasm::v3::Wasm,
                wasm::v3::{
                    EnvironmentVariables, FailurePolicy, PluginConfig, ReloadConfig, VmConfig, plugin_config::Vm,
                },
            },
        },
        google::protobuf::{self, Any, StringValue},
    },
};
use serde::Serialize;

use super::{route, version};
use crate::model::{Hidden, Model, Secret, SecretContent};

/// The filter's name in the chain, in ECDS and in `typed_per_filter_config`.
pub const FILTER_NAME: &str = "legation";

/// The filter's WebAssembly module. Its digest is a part of its resource's version.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// The `.wasm`.
    pub bytes: &'static [u8],
    /// SHA-256 in hexadecimal.
    pub sha256: &'static str,
}

/// The variable of Envoy's environment with the pepper of API keys, for static configurations,
/// which must not hold it.
pub const PEPPER_VARIABLE: &str = "LEGATION_KEY_PEPPER";

/// The inputs of a configuration of ECDS.
pub(super) struct Inputs<'a> {
    pub(super) model: &'a Model,
    pub(super) module: &'a Module,
    pub(super) pepper: PepperSource<'a>,
}

/// Where the filter gets the pepper of keys from, if the file names one.
#[derive(Clone, Copy)]
pub(super) enum PepperSource<'a> {
    /// From its configuration.
    Held(&'a [Secret]),
    /// From Envoy's environment. People keep such a configuration, so it must not hold the pepper.
    Environment,
}

/// A configuration of ECDS.
pub(super) struct Extension {
    /// The version of its resource.
    pub(super) version: Arc<str>,
    /// The filter's configuration.
    pub(super) configuration: Any,
}

/// The fragment of the resource. Versions are shown, so the fragment has a digest of the pepper
/// instead of the pepper.
#[derive(Serialize)]
pub(super) struct FilterFragment<'a> {
    module: &'a str,
    config: Config,
    key_pepper_sha256: Option<String>,
    #[serde(skip)]
    key_pepper: Option<&'a Hidden>,
}

pub(super) fn fragment<'a>(inputs: &Inputs<'a>) -> FilterFragment<'a> {
    let Inputs { model, module, pepper } = inputs;
    // Sorted, so that moving things in the file changes nothing.
    let mut consumers = model.consumers.clone();
    consumers.sort_by(|a, b| a.name.cmp(&b.name));
    let mut plans = model.plans.clone();
    plans.sort_by(|a, b| a.name.cmp(&b.name));
    let (key_pepper, key_pepper_env) = match pepper {
        PepperSource::Held(secrets) => (secrets.iter().find_map(held_pepper), None),
        PepperSource::Environment => (None, model.key_pepper.as_ref().map(|_| PEPPER_VARIABLE.to_owned())),
    };
    let key_pepper_sha256 = key_pepper.map(Hidden::sha256);
    let rate_limit_headers = model.rate_limit_headers;
    let config = Config {
        version: 1,
        rate_limit_headers,
        consumers,
        plans,
        route_policies: true,
        key_pepper_env,
        ..Config::default()
    };
    FilterFragment { module: module.sha256, config, key_pepper_sha256, key_pepper }
}

fn held_pepper(secret: &Secret) -> Option<&Hidden> {
    match &secret.content {
        SecretContent::KeyPepper(pepper) => Some(pepper),
        _ => None,
    }
}

/// Returns the size of the filter's configuration and of all policies, in bytes. With YAML aliases
/// it may be much larger than the file.
pub fn configuration_bytes(model: &Model, secrets: &[Secret], module: &Module) -> usize {
    let fragment = fragment(&Inputs { model, module, pepper: PepperSource::Held(secrets) });
    let pepper = fragment.key_pepper.map_or(0, |pepper| pepper.0.len());
    let policies = model.routes.iter().filter_map(route::policy);
    json_bytes(&fragment.config) + pepper + policies.map(|policy| json_bytes(&policy)).sum::<usize>()
}

fn json_bytes(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

/// Returns the gateway filter's configuration.
pub(super) fn gateway_filter(inputs: &Inputs<'_>) -> Extension {
    let fragment = fragment(inputs);
    let version = version::of(ResourceType::Extension, &fragment);
    let FilterFragment { mut config, key_pepper, .. } = fragment;
    config.key_pepper = key_pepper.map(|pepper| Pepper(pepper.0.clone()));
    Extension { version, configuration: pack(&wasm(&config, inputs.module)) }
}

/// Returns the configuration of Envoy's wasm filter.
fn wasm(config: &Config, module: &Module) -> Wasm {
    let configuration = serde_json::to_string(config).unwrap_or_default();
    let environment_variables = config
        .key_pepper_env
        .as_ref()
        .map(|name| EnvironmentVariables { host_env_keys: vec![name.clone()], ..EnvironmentVariables::default() });
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
                environment_variables,
                code: Some(AsyncDataSource { specifier: Some(async_data_source::Specifier::Local(code)) }),
                ..VmConfig::default()
            })),
            ..PluginConfig::default()
        }),
    }
}
