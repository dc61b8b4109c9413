//! The files of `examples/mesh`, in the shape in which their systems hand them to Envoy. It follows
//! Istio 1.30's `pilot/pkg/model/extensions.go` and `pkg/wasm/convert.go`, and Envoy Gateway 1.9's
//! `internal/xds/translator/wasm.go`.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{Envoy, Http, Upstream, legation, root};

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

/// A file of `examples/mesh` as it is.
pub fn text(name: &str) -> String {
    let path = root().join("examples/mesh").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A file of `examples/mesh`.
pub fn example(name: &str) -> Value {
    serde_yaml::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns the module's part of an Istio example: all of a WasmPlugin, `wasm` of a
/// TrafficExtension.
pub fn istio_wasm(example: &Value) -> &Value {
    match example["kind"].as_str() {
        Some("WasmPlugin") => &example["spec"],
        Some("TrafficExtension") => &example["spec"]["wasm"],
        other => panic!("{other:?} is of Istio's kinds"),
    }
}

/// The static example's own filter.
pub fn static_filter(example: &Value) -> &Value {
    let chain = &example["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
    &chain["typed_config"]["http_filters"][0]["typed_config"]["config"]
}

/// The module, in this folder.
pub fn module(folder: &Path) -> PathBuf {
    let path = folder.join("legation.wasm");
    assert!(legation().arg("filter").arg("-o").arg(&path).status().expect("it runs").success());
    path
}

/// The form of a plugin's configuration for Envoy.
#[derive(Clone, Copy, Debug)]
pub enum As {
    /// The form of Istio and Envoy Gateway.
    Text,
    /// A form that people may write into an EnvoyFilter.
    Struct,
}

impl As {
    fn any(self, document: &Value) -> Value {
        match self {
            Self::Text => {
                json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": document.to_string()})
            }
            Self::Struct => json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": document}),
        }
    }
}

/// A plugin of Istio. Its configuration comes by ECDS, the agent has put its code into a file, and
/// its `vm_id` is empty.
pub struct Istio {
    name: &'static str,
    file: PathBuf,
    /// The agent's folder. It has each module under its digest.
    pub module: PathBuf,
    failure_policy: &'static str,
}

impl Istio {
    /// Makes the plugin of the example with this name.
    pub fn new(folder: &Path, name: &'static str, example: &Value) -> Self {
        let failure_policy = match istio_wasm(example)["failStrategy"].as_str() {
            None | Some("FAIL_CLOSE") => "FAIL_CLOSED",
            Some("FAIL_RELOAD") => "FAIL_RELOAD",
            other => panic!("{other:?} is no strategy for a filter that guards"),
        };
        Self { name, file: folder.join(format!("{name}.json")), module: module(folder), failure_policy }
    }

    /// Sends the configuration: it replaces the file that Envoy watches, in one step.
    pub fn send(&self, document: &Value, form: As) {
        let plugin = json!({
            "name": format!("istio-ingress.{}", self.name),
            "configuration": form.any(document),
            "failure_policy": self.failure_policy,
            "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": self.module}}},
        });
        let resource = json!({
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": self.resource(),
            "typed_config": {"@type": WASM, "config": plugin},
        });
        replace(&self.file, &json!({"resources": [resource]}));
    }

    /// The filter of the listener.
    pub fn filter(&self) -> Value {
        json!({
            "name": self.resource(),
            "config_discovery": {
                "config_source": {
                    "path_config_source": {"path": self.file},
                    "initial_fetch_timeout": "0s",
                    "resource_api_version": "V3",
                },
                "type_urls": [WASM, RBAC],
            },
        })
    }

    fn resource(&self) -> String {
        format!("extensions.istio.io/trafficextension/istio-ingress.{}", self.name)
    }
}

/// A policy of Envoy Gateway. The filter is in the listener, disabled, Envoy fetches its code, and
/// each policy has a VM.
pub struct EnvoyGateway {
    pub name: String,
    filter: Value,
}

impl EnvoyGateway {
    /// The example's policy, with the module of this digest.
    pub fn new(example: &Value, document: &Value, sha256: &str) -> Self {
        let metadata = &example["metadata"];
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let id = format!("envoyextensionpolicy/{}/{}/wasm/0", text(&metadata["namespace"]), text(&metadata["name"]));
        let wasm = &example["spec"]["wasm"][0];
        let plugin = json!({
            "name": wasm["name"],
            "configuration": As::Text.any(document),
            "fail_open": wasm["failOpen"],
            "vm_config": {
                "vm_id": id,
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"remote": {
                    "http_uri": {
                        "cluster": "wasm_cluster",
                        "timeout": "10s",
                        "uri": format!("http://envoy-gateway:18002{}", path(sha256)),
                    },
                    "sha256": sha256,
                    "retry_policy": {
                        "num_retries": 10,
                        "retry_back_off": {"base_interval": "1s", "max_interval": "30s"},
                    },
                }},
            },
        });
        let name = format!("envoy.filters.http.wasm/{id}");
        let filter = json!({"name": name, "disabled": true, "typed_config": {"@type": WASM, "config": plugin}});
        Self { name, filter }
    }

    /// Returns the listener. Everything passes the filter, except `/open`, which the policy does
    /// not name.
    pub fn listener(&self, port: u16) -> Value {
        let enabled = json!({self.name.clone(): {
            "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
            "config": {},
        }});
        let routes = json!([
            {"match": {"path_separated_prefix": "/open"}, "route": {"cluster": "svc"}},
            {"match": {"prefix": "/"}, "route": {"cluster": "svc"}, "typed_per_filter_config": enabled},
        ]);
        listener(port, std::slice::from_ref(&self.filter), &routes)
    }
}

/// A server of modules, like Envoy Gateway's. It has each module under its digest.
pub struct Code {
    pub address: SocketAddr,
    pub sha256: Vec<String>,
}

impl Code {
    /// Serves these until the test's runtime ends.
    pub async fn serve(modules: Vec<Vec<u8>>) -> Self {
        let hex = |module: &Vec<u8>| Sha256::digest(module).iter().map(|byte| format!("{byte:02x}")).collect();
        let sha256: Vec<String> = modules.iter().map(hex).collect();
        let by_path: BTreeMap<_, _> =
            sha256.iter().map(|sha256| path(sha256)).zip(modules.into_iter().map(Bytes::from)).collect();
        let answer = move |request: Request<Incoming>| {
            let response = Response::new(Full::new(by_path[request.uri().path()].clone()));
            async move { Ok::<_, Infallible>(response) }
        };
        let address = Upstream::start(Http::One, answer).await.address;
        Self { address, sha256 }
    }
}

fn path(sha256: &str) -> String {
    format!("/{sha256}.wasm")
}

/// Returns a filter with this configuration, in its own VM.
pub fn wasm_filter(name: &str, document: &Value, module: &Path) -> Value {
    let plugin = json!({
        "name": name,
        "configuration": As::Text.any(document),
        "failure_policy": "FAIL_RELOAD",
        "vm_config": {"vm_id": name, "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": module}}},
    });
    json!({"name": "legation", "typed_config": {"@type": WASM, "config": plugin}})
}

/// A listener with these filters before the router, and these routes.
pub fn listener(port: u16, filters: &[Value], routes: &Value) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    });
    let filters: Vec<_> = filters.iter().cloned().chain([router]).collect();
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "normalize_path": true,
        "use_remote_address": true,
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    });
    json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": format!("port-{port}"),
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]}],
    })
}

/// An Envoy whose listeners come by LDS from a file.
pub struct Mesh {
    pub envoy: Envoy,
    file: PathBuf,
}

impl Mesh {
    /// Starts it with these clusters.
    pub async fn start(folder: &TempDir, listeners: &[Value], clusters: &[(&str, SocketAddr)]) -> Self {
        let file = folder.path().join("listeners.json");
        replace(&file, &json!({"resources": listeners}));
        let clusters: Vec<_> = clusters
            .iter()
            .map(|(name, address)| {
                let address = json!({"address": address.ip().to_string(), "port_value": address.port()});
                let endpoint = json!({"endpoint": {"address": {"socket_address": address}}});
                json!({
                    "name": name,
                    "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
                })
            })
            .collect();
        let bootstrap = json!({
            "node": {"id": "mesh", "cluster": "mesh"},
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
            "dynamic_resources": {"lds_config": {"path_config_source": {"path": file}, "resource_api_version": "V3"}},
            "static_resources": {"clusters": clusters},
        });
        let envoy = Envoy::start(folder.path(), "envoy", bootstrap.to_string().as_bytes()).await;
        Self { envoy, file }
    }

    /// Sends other listeners.
    pub fn send(&self, listeners: &[Value]) {
        replace(&self.file, &json!({"resources": listeners}));
    }
}

/// Replaces a file that Envoy watches, in one step.
fn replace(path: &Path, content: &Value) {
    let new = path.with_extension("new");
    fs::write(&new, content.to_string()).expect("it can be written");
    fs::rename(new, path).expect("it can be renamed");
}
