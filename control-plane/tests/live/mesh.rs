//! The filter in other systems' Envoys. The tests read each file of `examples/mesh` as a person
//! would apply it, and a real Envoy loads its configuration in the form that the system gives it.
//! The systems themselves do not run here.

use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use legation_testing::{
    ALICE_SHA256, Client, Response, bare_envoy, eventually, free_port,
    mesh::{As, Code, EnvoyGateway, Istio, Mesh, example, istio_wasm, listener, module, static_filter, text},
    upstream,
};
use serde_json::{Value, json};

const WASM_PLUGIN: &str = "istio/wasmplugin.yaml";
const TRAFFIC_EXTENSION: &str = "istio/trafficextension.yaml";
const EXTENSION_POLICY: &str = "envoy-gateway/envoyextensionpolicy.yaml";
const PLAIN: &str = "envoy/envoy.yaml";

/// The keys that the examples are tried with.
const ALICE: &str = "demo-alice-key";
const BOB: &str = "demo-bob-key";

/// The one configuration that all examples hold.
fn document() -> Value {
    istio_wasm(&example(TRAFFIC_EXTENSION))["pluginConfig"].clone()
}

/// The same with a longer window, for a test that counts: bob's five requests do not come back
/// while it runs.
fn counting() -> Value {
    let mut document = document();
    document["plans"][1]["limits"][0]["window"] = json!("1h");
    document
}

/// The same with carol, whose key is the tests' own. When she is let in, Envoy uses this
/// configuration.
fn with_carol(mut document: Value) -> Value {
    let carol = json!({"name": "carol", "plan": "pro", "api_keys": [{"sha256": ALICE_SHA256}]});
    document["consumers"].as_array_mut().unwrap().push(carol);
    document
}

const CAROL: &str = legation_testing::ALICE_KEY;

/// Asks for a path of the examples' host.
async fn ask(port: u16, path: &str, headers: &[(&str, &str)]) -> Result<Response, String> {
    let headers: Vec<_> = [("host", "api.example.com")].into_iter().chain(headers.iter().copied()).collect();
    Client::new().try_get(&format!("http://127.0.0.1:{port}{path}"), &headers).await
}

async fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> Response {
    ask(port, path, headers).await.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the status with this key; 0 while Envoy does not answer.
async fn status(port: u16, key: &str) -> u16 {
    ask(port, "/", &[("x-api-key", key)]).await.map_or(0, |response| response.status.as_u16())
}

/// Makes sure of what the README of the examples promises.
async fn works_as_the_readme_says(port: u16) {
    eventually("the filter answers", || async { status(port, "nobody's").await == 401 }).await;

    let none = get(port, "/users", &[]).await;
    assert_eq!((none.status.as_u16(), &none.json()["code"]), (401, &json!("missing_api_key")));

    let good = get(port, "/users", &[("x-api-key", ALICE), ("x-consumer-id", "root")]).await;
    assert_eq!(good.status, 200);
    assert_eq!(good.header("ratelimit-policy"), "\"pro\";q=600;w=60");
    let seen = good.seen_headers();
    assert_eq!((&seen["x-consumer-id"], &seen["x-consumer-plan"]), (&json!("alice"), &json!("pro")));
    assert!(!seen.contains_key("x-api-key"));

    assert_eq!(get(port, "/public/x", &[]).await.status, 200);
    assert_eq!(get(port, "/publicity", &[]).await.status, 401);
    let elsewhere = Client::new().get(&format!("http://127.0.0.1:{port}/public"), &[("host", "other.example")]).await;
    assert_eq!((elsewhere.status.as_u16(), &elsewhere.json()["code"]), (503, &json!("unknown_policy")));

    let mut statuses = Vec::new();
    // One request comes back every two seconds.
    while statuses.last() != Some(&429) && statuses.len() < 50 {
        statuses.push(status(port, BOB).await);
    }
    assert!(statuses.len() > 5 && statuses.last() == Some(&429), "{statuses:?}");
    assert!(statuses.iter().rev().skip(1).all(|status| *status == 200), "{statuses:?}");
}

#[test]
fn the_examples_hold_one_configuration_and_none_fails_open() {
    let policy = example(EXTENSION_POLICY);
    let plain = example(PLAIN);
    let plain = static_filter(&plain);
    let in_text: Value = serde_json::from_str(plain["configuration"]["value"].as_str().unwrap()).unwrap();
    assert_eq!(istio_wasm(&example(WASM_PLUGIN))["pluginConfig"], document());
    assert_eq!(policy["spec"]["wasm"][0]["config"], document());
    assert_eq!(in_text, document());

    assert_eq!(istio_wasm(&example(WASM_PLUGIN))["failStrategy"], "FAIL_CLOSE");
    assert_eq!(istio_wasm(&example(TRAFFIC_EXTENSION))["failStrategy"], "FAIL_RELOAD");
    assert_eq!(policy["spec"]["wasm"][0]["failOpen"], false);
    assert_eq!(plain["failure_policy"], "FAIL_RELOAD");
}

#[test]
fn the_capabilities_of_the_plain_example_are_those_of_the_module() {
    let folder = tempfile::tempdir().unwrap();
    let (imports, exports) = names(&fs::read(module(folder.path())).unwrap());
    // Envoy asks every module for these, allowed or not.
    let always = ["proxy_abi_version_0_2_1", "proxy_on_memory_allocate"];
    let calls = exports.into_iter().filter(|name| name.starts_with("proxy_") && !always.contains(&name.as_str()));
    let plain = example(PLAIN);
    let allowed = &static_filter(&plain)["vm_config"]["capability_restriction_config"]["allowed_capabilities"];
    let allowed: BTreeSet<_> = allowed.as_object().unwrap().keys().cloned().collect();
    assert_eq!(allowed, imports.into_iter().chain(calls).collect());
}

/// The names of what a module imports and exports.
fn names(module: &[u8]) -> (BTreeSet<String>, BTreeSet<String>) {
    struct Bytes<'a>(&'a [u8]);
    impl<'a> Bytes<'a> {
        fn take(&mut self, length: usize) -> &'a [u8] {
            let (head, rest) = self.0.split_at(length);
            self.0 = rest;
            head
        }
        /// LEB128.
        fn number(&mut self) -> usize {
            let mut number = 0;
            for place in (0..35).step_by(7) {
                let byte = self.take(1)[0];
                number |= usize::from(byte & 0x7f) << place;
                if byte < 0x80 {
                    return number;
                }
            }
            panic!("a number of five bytes at most");
        }
        fn name(&mut self) -> String {
            let length = self.number();
            String::from_utf8(self.take(length).to_vec()).unwrap()
        }
    }
    let (mut imports, mut exports) = (BTreeSet::new(), BTreeSet::new());
    let mut module = Bytes(module.strip_prefix(b"\0asm\x01\0\0\0").expect("a module"));
    while !module.0.is_empty() {
        let id = module.take(1)[0];
        let length = module.number();
        let mut section = Bytes(module.take(length));
        match id {
            2 => {
                for _ in 0..section.number() {
                    section.name();
                    imports.insert(section.name());
                    assert_eq!(section.take(1), [0], "only functions are imported");
                    section.number();
                }
            }
            7 => {
                for _ in 0..section.number() {
                    exports.insert(section.name());
                    section.take(1);
                    section.number();
                }
            }
            _ => {}
        }
    }
    (imports, exports)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plain_example_works_as_it_is() {
    let svc = upstream("svc").await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let module = module(folder.path());
    let config = [
        ("port_value: 8000", format!("port_value: {port}")),
        ("port_value: 9101", format!("port_value: {}", svc.port())),
        ("filename: legation.wasm", format!("filename: \"{}\"", module.display())),
    ]
    .into_iter()
    .fold(text(PLAIN), |text, (old, new)| {
        assert_eq!(text.matches(old).count(), 1, "{old}");
        text.replace(old, &new)
    });
    let path = folder.path().join("envoy.yaml");
    fs::write(&path, config).unwrap();
    let envoy = bare_envoy(&path);
    works_as_the_readme_says(port).await;
    let output = envoy.output();
    assert!(!output.contains("eprecated") && !output.contains("restricted"), "{output}");
}

/// Starts an Envoy with each plugin on a listener of its own.
async fn istio(folder: &tempfile::TempDir, plugins: &[(&Istio, u16)]) -> Mesh {
    let svc = upstream("svc").await;
    let routes = json!([{"match": {"prefix": "/"}, "route": {"cluster": "svc"}}]);
    let listeners: Vec<_> = plugins.iter().map(|(plugin, port)| listener(*port, &[plugin.filter()], &routes)).collect();
    Mesh::start(folder, &listeners, &[("svc", svc)]).await
}

async fn an_example_of_istio_works(file: &str) {
    let folder = tempfile::tempdir().unwrap();
    let example = example(file);
    let plugin = Istio::new(folder.path(), "legation", &example);
    plugin.send(&istio_wasm(&example)["pluginConfig"], As::Text);
    let port = free_port();
    let _mesh = istio(&folder, &[(&plugin, port)]).await;
    works_as_the_readme_says(port).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wasm_plugin_works_as_istio_hands_it_to_envoy() {
    an_example_of_istio_works(WASM_PLUGIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_traffic_extension_works_as_istio_hands_it_to_envoy() {
    an_example_of_istio_works(TRAFFIC_EXTENSION).await;
}

/// Envoy passes a Struct on as protobuf's bytes, contrary to its documentation, and all numbers in
/// it are doubles.
#[tokio::test(flavor = "multi_thread")]
async fn a_struct_is_the_same_as_a_text_and_so_are_its_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = Istio::new(folder.path(), "legation", &example(TRAFFIC_EXTENSION));
    plugin.send(&document(), As::Struct);
    let port = free_port();
    let mesh = istio(&folder, &[(&plugin, port)]).await;
    works_as_the_readme_says(port).await;

    let mut large = document();
    large["plans"][0]["limits"] = json!([{"limit": 1_000_000_000, "window": "1h", "burst": 999_999_999}]);
    for form in [As::Struct, As::Text] {
        plugin.send(&with_carol(document()), form);
        eventually("carol is let in", || async { status(port, CAROL).await == 200 }).await;
        plugin.send(&large, form);
        eventually("carol is no more", || async { status(port, CAROL).await == 401 }).await;
        let response = get(port, "/", &[("x-api-key", ALICE)]).await;
        assert_eq!(response.header("ratelimit-policy"), "\"pro\";q=1000000000;w=3600");
    }

    let mut bad = document();
    bad["plans"][0]["limits"][0]["limit"] = json!(0.5);
    plugin.send(&bad, As::Struct);
    mesh.envoy.process.says(&["legation: configuration refused: plans[0].limits[0].limit"]).await;
    assert_eq!(status(port, ALICE).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_reaches_istios_envoy_and_counts_stay_and_a_bad_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = Istio::new(folder.path(), "legation", &example(TRAFFIC_EXTENSION));
    plugin.send(&counting(), As::Text);
    let port = free_port();
    let mesh = istio(&folder, &[(&plugin, port)]).await;
    eventually("the filter answers", || async { status(port, CAROL).await == 401 }).await;
    for _ in 0..3 {
        assert_eq!(status(port, BOB).await, 200);
    }

    plugin.send(&with_carol(counting()), As::Text);
    eventually("carol is let in", || async { status(port, CAROL).await == 200 }).await;
    assert_eq!([status(port, BOB).await, status(port, BOB).await, status(port, BOB).await], [200, 200, 429]);

    let mut bad = counting();
    bad["policies"][1]["rate_limits"] = json!([]);
    plugin.send(&bad, As::Text);
    mesh.envoy.process.says(&["legation: configuration refused: policies[1]", "rate_limits"]).await;
    let name = "extension_config_discovery.http_filter.extensions.istio.io/trafficextension/istio-ingress.legation";
    eventually("Envoy rejects it", || async { mesh.envoy.stat(&format!("{name}.update_rejected")).await == 1 }).await;
    assert_eq!([status(port, CAROL).await, status(port, ALICE).await, status(port, BOB).await], [200, 200, 429]);
    assert_eq!(status(port, "nobody's").await, 401);

    // The filter takes a good configuration after a bad one.
    plugin.send(&counting(), As::Text);
    eventually("carol is no more", || async { status(port, CAROL).await == 401 }).await;
    assert_eq!([status(port, ALICE).await, status(port, BOB).await], [200, 429]);
}

/// Two plugins in one Envoy, with the same code and the same `vm_id`, so that they share their VMs.
#[tokio::test(flavor = "multi_thread")]
async fn two_plugins_of_one_vm_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let first = Istio::new(folder.path(), "first", &example(TRAFFIC_EXTENSION));
    let second = Istio::new(folder.path(), "second", &example(TRAFFIC_EXTENSION));
    // The second plugin has other consumers, and other names of plans, since counts go by name.
    let mut other = with_carol(counting());
    other["plans"][0]["name"] = json!("gold");
    other["plans"][1]["name"] = json!("tin");
    for (consumer, plan) in [(0, "gold"), (1, "tin"), (2, "gold")] {
        other["consumers"][consumer]["plan"] = json!(plan);
    }
    other["consumers"].as_array_mut().unwrap().remove(0);
    first.send(&counting(), As::Text);
    second.send(&other, As::Text);
    let (one, two) = (free_port(), free_port());
    let mesh = istio(&folder, &[(&first, one), (&second, two)]).await;
    eventually("both answer", || async { (status(one, ALICE).await, status(two, CAROL).await) == (200, 200) }).await;
    // Envoy has a VM that it copies, one on the main thread, and one on the only worker.
    assert_eq!(mesh.envoy.stat("wasm.envoy.wasm.runtime.v8.active").await, 3);
    assert_eq!((status(one, CAROL).await, status(two, ALICE).await), (401, 401));

    // Each plugin has its own counts.
    for _ in 0..5 {
        assert_eq!(status(one, BOB).await, 200);
    }
    assert_eq!(status(one, BOB).await, 429);
    let response = get(two, "/", &[("x-api-key", BOB)]).await;
    assert_eq!((response.status.as_u16(), response.header("ratelimit-policy")), (200, "\"tin\";q=5;w=3600"));

    // A good and a bad edit of one plugin do not disturb the other.
    first.send(&with_carol(counting()), As::Text);
    eventually("carol is let in", || async { status(one, CAROL).await == 200 }).await;
    assert_eq!((status(one, BOB).await, status(two, ALICE).await, status(two, CAROL).await), (429, 401, 200));
    first.send(&json!({"version": 2}), As::Text);
    mesh.envoy.process.says(&["legation: configuration refused", "version"]).await;
    assert_eq!((status(one, CAROL).await, status(two, CAROL).await), (200, 200));
    assert_eq!((status(one, "nobody's").await, status(two, "nobody's").await), (401, 401));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_extension_policy_works_as_envoy_gateway_hands_it_to_envoy() {
    let svc = upstream("svc").await;
    let folder = tempfile::tempdir().unwrap();
    let example = example(EXTENSION_POLICY);
    let code = Code::serve(vec![fs::read(module(folder.path())).unwrap()]).await;
    let policy = EnvoyGateway::new(&example, &example["spec"]["wasm"][0]["config"], &code.sha256[0]);
    let port = free_port();
    let _mesh = Mesh::start(&folder, &[policy.listener(port)], &[("svc", svc), ("wasm_cluster", code.address)]).await;
    works_as_the_readme_says(port).await;
    // A request to a route without the policy passes unchanged.
    let open = get(port, "/open/x", &[("x-api-key", "whatever"), ("x-consumer-id", "root")]).await;
    assert_eq!(open.status, 200);
    let seen = open.seen_headers();
    assert_eq!((&seen["x-consumer-id"], &seen["x-api-key"]), (&json!("root"), &json!("whatever")));
}

/// Sends requests without a key, one after the other, until it is stopped.
struct Intruder {
    stop: Arc<AtomicBool>,
    statuses: tokio::task::JoinHandle<BTreeSet<u16>>,
}

impl Intruder {
    fn start(port: u16) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        let statuses = tokio::spawn(async move {
            let mut statuses = BTreeSet::new();
            while !stopped.load(Ordering::Relaxed) {
                statuses.insert(get(port, "/", &[]).await.status.as_u16());
            }
            statuses
        });
        Self { stop, statuses }
    }

    /// The statuses that it got.
    async fn stop(self) -> BTreeSet<u16> {
        self.stop.store(true, Ordering::Relaxed);
        self.statuses.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_passes_while_istio_brings_another_module_and_counts_outlive_the_vm() {
    let folder = tempfile::tempdir().unwrap();
    let mut plugin = Istio::new(folder.path(), "legation", &example(TRAFFIC_EXTENSION));
    plugin.send(&counting(), As::Text);
    let port = free_port();
    let _mesh = istio(&folder, &[(&plugin, port)]).await;
    eventually("bob is limited", || async { status(port, BOB).await == 429 }).await;
    let intruder = Intruder::start(port);

    let other = another(fs::read(&plugin.module).unwrap());
    plugin.module = folder.path().join("another.wasm");
    fs::write(&plugin.module, other).unwrap();
    plugin.send(&with_carol(counting()), As::Text);
    eventually("carol is let in", || async { status(port, CAROL).await == 200 }).await;
    assert_eq!(intruder.stop().await, BTreeSet::from([401]));
    // The new VM knows the old counts.
    assert_eq!(status(port, BOB).await, 429);
}

/// Returns the same module with one more section, which means nothing.
fn another(module: Vec<u8>) -> Vec<u8> {
    [module, b"\0\x02\x01x".to_vec()].concat()
}

/// Envoy fetches the module itself here. By ECDS it would drop the old module for a new one that it
/// never fetches, and let all requests pass.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_passes_while_envoy_gateway_brings_another_module() {
    let svc = upstream("svc").await;
    let folder = tempfile::tempdir().unwrap();
    let example = example(EXTENSION_POLICY);
    let module = fs::read(module(folder.path())).unwrap();
    let code = Code::serve(vec![module.clone(), another(module)]).await;
    let port = free_port();
    let policy = EnvoyGateway::new(&example, &counting(), &code.sha256[0]);
    let clusters = [("svc", svc), ("wasm_cluster", code.address)];
    let mesh = Mesh::start(&folder, &[policy.listener(port)], &clusters).await;
    eventually("bob is let in", || async { status(port, BOB).await == 200 }).await;
    let intruder = Intruder::start(port);

    let policy = EnvoyGateway::new(&example, &with_carol(counting()), &code.sha256[1]);
    mesh.send(&[policy.listener(port)]);
    eventually("carol is let in", || async { status(port, CAROL).await == 200 }).await;
    assert_eq!(intruder.stop().await, BTreeSet::from([401]));
}
