//! A hostile neighbour: another plugin of the same Envoy, whose VM has the same id and so the same
//! shared data, overwrites all that the filter keeps there. Keys decide as before, and limits go on
//! with the counts that are left.

use std::{collections::BTreeMap, fs, path::Path};

use futures::future::join_all;
use legation_filter::{
    outside::{CountError, SharedState},
    rate_limit::counts::{Table, prepare},
};
use legation_testing::{ALICE_KEY, ALICE_SHA256, BOB_KEY, BOB_SHA256, Bare, Client, eventually, free_port};
use serde_json::{Value, json};

/// Records what the filter writes when it makes its tables.
#[derive(Default)]
struct Recorder(BTreeMap<Vec<u8>, Vec<u8>>);

impl SharedState for Recorder {
    fn get(&mut self, _key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, CountError> {
        Ok(None)
    }

    fn set(&mut self, key: &[u8], value: &[u8], _cas: u32) -> Result<bool, CountError> {
        self.0.insert(key.to_owned(), value.to_owned());
        Ok(true)
    }
}

/// Returns the module of the neighbour, which knows the filter's keys and the form of their values.
fn scribbler() -> Vec<u8> {
    let mut recorder = Recorder::default();
    prepare(&mut recorder, [7; 16]).unwrap();
    assert!(recorder.0.len() > usize::from(Table::Known.sets()), "all tables are written when they are made");
    let mut entries = Vec::new();
    for (key, value) in recorder.0 {
        assert!(value.len() < 1024, "the scribbler has room");
        entries.push(u8::try_from(key.len()).unwrap());
        entries.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        entries.push(value[0]);
        entries.extend(key);
    }
    entries.push(0);
    let entries = entries.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    wat::parse_str(include_str!("neighbour/scribbler.wat").replace("ENTRIES", &entries)).unwrap()
}

/// What the neighbour writes, by the path of the request, and whether the filter takes it for an
/// empty set of counts. Well-formed values may leave no room for a caller's own count. Callers then
/// share the count of the limit.
const KINDS: [(&str, &str, bool); 6] = [
    ("/0", "empty values", true),
    ("/1", "a byte too few", true),
    ("/2", "a byte too many", true),
    ("/3", "any bytes", true),
    ("/4", "any bytes in the right form", false),
    ("/5", "counts that never end", true),
];

fn typed(name: &str, mut message: Value) -> Value {
    message["@type"] = json!(format!("type.googleapis.com/envoy.{name}"));
    message
}

fn wasm(name: &str, vm_id: &str, module: &Path, configuration: &Value) -> Value {
    let code = json!({"local": {"filename": module}});
    let configuration =
        json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration.to_string()});
    let vm = json!({"vm_id": vm_id, "runtime": "envoy.wasm.runtime.v8", "code": code});
    let config = json!({"name": name, "vm_config": vm, "configuration": configuration});
    typed("extensions.filters.http.wasm.v3.Wasm", json!({"config": config}))
}

fn listener(port: u16, mut filter: Value) -> Value {
    filter["name"] = json!("legation");
    let router = typed("extensions.filters.http.router.v3.Router", json!({}));
    let manager = json!({
        "stat_prefix": "http",
        "http_filters": [filter, {"name": "router", "typed_config": router}],
        "route_config": {"virtual_hosts": [{
            "name": "any",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
        }]},
    });
    let manager = typed("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", manager);
    json!({
        "name": port.to_string(),
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "manager", "typed_config": manager}]}],
    })
}

/// An Envoy with both plugins, each on a listener of its own. A file holds the filter's
/// configuration.
struct Neighbours {
    envoy: Bare,
    vm_id: &'static str,
    filter: u16,
    neighbour: u16,
}

/// The requests that each limit admits. None of them comes back while a test runs.
const LIMIT: usize = 3;

impl Neighbours {
    async fn start(vm_id: &'static str) -> Self {
        let (filter, neighbour) = (free_port(), free_port());
        let envoy = Bare::start(|folder| {
            fs::write(folder.join("scribbler.wasm"), scribbler()).unwrap();
            write_configuration(folder, vm_id, 0);
            let discovery = json!({
                "config_source": {"path_config_source": {"path": folder.join("filter.json")}},
                "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
            });
            let scribbler = wasm("scribbler", vm_id, &folder.join("scribbler.wasm"), &json!({}));
            json!({
                "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
                "static_resources": {"listeners": [
                    listener(filter, json!({"config_discovery": discovery})),
                    listener(neighbour, json!({"typed_config": scribbler})),
                ]},
            })
            .to_string()
        })
        .await;
        Self { envoy, vm_id, filter, neighbour }
    }

    async fn scribble(&self, path: &str) {
        let url = format!("http://127.0.0.1:{}{path}", self.neighbour);
        assert_eq!(Client::new().get(&url, &[]).await.status, 200);
    }

    /// Returns the statuses of this many requests, each over a connection of its own, so that every
    /// worker gets some.
    async fn ask(&self, count: usize, path: &str, headers: &[(&str, &str)]) -> Vec<u16> {
        let url = format!("http://127.0.0.1:{}{path}", self.filter);
        let url = &url;
        let answers = (0..count).map(|_| async move { Client::new().get(url, headers).await.status.as_u16() });
        join_all(answers).await
    }

    /// Makes sure that keys decide and that unused limits admit what they should, whatever they
    /// count by. `fresh` is the number of the limits.
    async fn decides_and_counts(&self, fresh: usize, when: &str) {
        let all = |status: u16| vec![status; 16];
        let asked = self.ask(16, "/", &[("x-api-key", ALICE_KEY)]).await;
        assert_eq!(asked, all(200), "a good key, {when}");
        assert_eq!(self.ask(16, "/", &[("x-api-key", "nobody's")]).await, all(401), "a bad key, {when}");
        assert_eq!(self.ask(16, "/", &[]).await, all(401), "no key, {when}");
        for by in BY {
            self.admits_what_it_says(by, fresh, ALICE_KEY, when).await;
        }
    }

    async fn admits_what_it_says(&self, by: &str, number: usize, key: &str, when: &str) {
        let mut statuses = self.ask(16, &format!("/{by}/{number}"), &[("x-api-key", key)]).await;
        statuses.sort_unstable();
        let expected = [[200; LIMIT].as_slice(), &[429; 16 - LIMIT]].concat();
        assert_eq!(statuses, expected, "a limit by {by}, {when}");
    }

    /// Puts another configuration in force, and waits until all workers have it.
    async fn reload(&self, version: usize) {
        write_configuration(&self.envoy.path(""), self.vm_id, version);
        let path = format!("/version/{version}");
        eventually("the configuration is in force", || async { self.ask(16, &path, &[]).await == [200; 16] }).await;
    }

    async fn is_alive(&self) {
        let stats = self.envoy.stats().await;
        assert_eq!(stats["http.http.downstream_rq_5xx"], 0);
        let said = self.envoy.process.output();
        assert!(!said.contains("[critical]") && !said.contains("[error]"), "{said}");
    }
}

const BY: [&str; 3] = ["ip", "consumer", "route"];

/// Writes the filter's configuration: a policy for each limit that a test needs afresh, and one
/// that tells versions apart.
fn write_configuration(folder: &Path, vm_id: &str, version: usize) {
    let mut policies = vec![json!({"name": "keyed", "api_key": {}}), json!({"name": "open"})];
    let mut rules = vec![json!({"policy": "open", "prefix": format!("/version/{version}")})];
    for by in BY {
        for number in 0..2 * KINDS.len() {
            let name = format!("{by}/{number}");
            rules.push(json!({"policy": name, "prefix": format!("/{name}")}));
            let limit = json!({"limit": LIMIT, "window": "1d", "by": by});
            policies.push(json!({"name": name, "api_key": {}, "rate_limit": [limit]}));
        }
    }
    let room = |by: &str| json!({"limit": 1_000_000, "window": "1s", "by": by});
    policies.push(json!({"name": "busy", "api_key": {}, "rate_limit": BY.map(room)}));
    rules.extend([json!({"policy": "busy", "prefix": "/busy"}), json!({"policy": "keyed"})]);
    let configuration = json!({
        "version": 1,
        "consumers": [
            {"name": "alice", "api_keys": [{"sha256": ALICE_SHA256}]},
            {"name": "bob", "api_keys": [{"sha256": BOB_SHA256}]},
        ],
        "policies": policies,
        "rules": rules,
    });
    let filter = wasm("legation", vm_id, &folder.join("filter.wasm"), &configuration);
    let resource = typed("config.core.v3.TypedExtensionConfig", json!({"name": "legation", "typed_config": filter}));
    let response = json!({"version_info": version.to_string(), "resources": [resource]});
    fs::write(folder.join("filter.json.new"), response.to_string()).unwrap();
    fs::rename(folder.join("filter.json.new"), folder.join("filter.json")).unwrap();
}

async fn scribbling_harms_nothing_but_counts(vm_id: &'static str) {
    let neighbours = Neighbours::start(vm_id).await;
    for (number, (path, what, is_empty_to_the_filter)) in KINDS.into_iter().enumerate() {
        neighbours.scribble(path).await;
        neighbours.decides_and_counts(2 * number, &format!("after {what}")).await;
        if is_empty_to_the_filter {
            let when = format!("of another consumer, after {what}");
            neighbours.admits_what_it_says("consumer", 2 * number, BOB_KEY, &when).await;
        }
        neighbours.scribble(path).await;
        for by in BY {
            // The count begins anew, which shows that the scribbling reached it.
            neighbours.admits_what_it_says(by, 2 * number, ALICE_KEY, &format!("after {what} again")).await;
        }
        neighbours.reload(number + 1).await;
        neighbours.decides_and_counts(2 * number + 1, &format!("after {what} and a reload")).await;
        neighbours.is_alive().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_scribbles_harms_nothing_but_counts() {
    scribbling_harms_nothing_but_counts("legation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_scribbles_in_a_space_without_a_name_harms_nothing_but_counts() {
    scribbling_harms_nothing_but_counts("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_scribbles_while_requests_are_counted_fails_none() {
    let neighbours = Neighbours::start("legation").await;
    let counting = async {
        for _ in 0..20 {
            assert_eq!(neighbours.ask(16, "/busy", &[("x-api-key", ALICE_KEY)]).await, [200; 16]);
        }
    };
    let scribbling = async {
        loop {
            for (path, ..) in KINDS {
                neighbours.scribble(path).await;
            }
        }
    };
    tokio::select! {
        () = counting => {}
        () = scribbling => {}
    }
    neighbours.decides_and_counts(0, "after all that").await;
    neighbours.is_alive().await;
}
