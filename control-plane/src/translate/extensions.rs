//! The gateway filter's configuration (ECDS): one resource, which carries the module too. It says who may call and what
//! their plans are; what a route asks of its requests travels with the route ([`super::routes`]).
//!
//! The module travels inside (`inline_bytes`) and is never fetched by Envoy: a new digest of a `remote` module made a real
//! Envoy 1.40 drop the running filter and let every request through unfiltered.

use legation_filter::config::{Config, Pepper};
use legation_protos::{
    pack,
    pb::{
        envoy::{
            config::core::v3::{
                AsyncDataSource, BackoffStrategy, DataSource, TypedExtensionConfig, async_data_source, data_source,
            },
            extensions::{
                filters::http::wasm::v3::Wasm,
                wasm::v3::{
                    EnvironmentVariables, FailurePolicy, PluginConfig, ReloadConfig, VmConfig, plugin_config::Vm,
                },
            },
        },
        google::protobuf::{self, StringValue},
    },
};
use serde::Serialize;

use crate::model::{Hidden, Model, Secret, SecretContent};

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

/// The variable of Envoy's environment in which a static configuration expects the pepper of keys, since it must not hold it.
pub const PEPPER_VARIABLE: &str = "LEGATION_KEY_PEPPER";

/// What the resource is made from. Versions are shown, so the pepper goes into them as a digest that leads back to nothing.
#[derive(Serialize)]
pub(super) struct FilterFragment<'a> {
    module: &'a str,
    config: Config,
    key_pepper_sha256: Option<String>,
    #[serde(skip)]
    key_pepper: Option<&'a Hidden>,
}

pub(super) fn fragment<'a>(model: &Model, secrets: &'a [Secret], module: &'a Module) -> FilterFragment<'a> {
    // Sorted, so that moving things about in the file changes nothing.
    let mut consumers = model.consumers.clone();
    consumers.sort_by(|a, b| a.name.cmp(&b.name));
    let mut plans = model.plans.clone();
    plans.sort_by(|a, b| a.name.cmp(&b.name));
    let key_pepper = secrets.iter().find_map(|secret| match &secret.content {
        SecretContent::KeyPepper(pepper) => Some(pepper),
        _ => None,
    });
    let key_pepper_sha256 = key_pepper.map(Hidden::sha256);
    let rate_limit_headers = model.rate_limit_headers;
    let config = Config { version: 1, rate_limit_headers, consumers, plans, route_policies: true, ..Config::default() };
    FilterFragment { module: module.sha256, config, key_pepper_sha256, key_pepper }
}

/// Bytes of the filter's configuration and of all policies, which may be much larger than the file where that uses aliases.
pub fn configuration_bytes(model: &Model, secrets: &[Secret], module: &Module) -> usize {
    let fragment = fragment(model, secrets, module);
    let pepper = fragment.key_pepper.map_or(0, |pepper| pepper.0.len());
    let policies = model.routes.iter().filter_map(|route| route.policy.as_ref());
    json_bytes(&fragment.config) + pepper + policies.map(json_bytes).sum::<usize>()
}

fn json_bytes(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

pub(super) fn extension(fragment: &FilterFragment<'_>, module: &Module) -> TypedExtensionConfig {
    let wasm = match fragment.key_pepper {
        None => wasm(&fragment.config, module),
        Some(pepper) => {
            let config = Config { key_pepper: Some(Pepper(pepper.0.clone())), ..fragment.config.clone() };
            wasm(&config, module)
        }
    };
    TypedExtensionConfig { name: FILTER_NAME.to_owned(), typed_config: Some(pack(&wasm)) }
}

/// The filter for a configuration that people keep: it takes the pepper of keys from Envoy's environment.
pub(super) fn static_wasm(model: &Model, module: &Module) -> Wasm {
    let key_pepper_env = model.key_pepper.as_ref().map(|_| PEPPER_VARIABLE.to_owned());
    let config = Config { key_pepper_env, ..fragment(model, &[], module).config };
    wasm(&config, module)
}

/// The filter as Envoy's wasm filter takes it.
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
