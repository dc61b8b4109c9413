//! The Envoys to compare.

use std::{fmt, fs};

use legation_testing::{
    ALICE_KEY, File, free_port,
    measure::{
        envoy::{self, api_key_auth, dump, local_ratelimit, replace_filters},
        variant::Variant,
    },
    upstream,
};
use serde_json::{Value, json};

/// The server that answers.
#[derive(Clone, Copy)]
pub enum Upstream {
    /// Envoy itself.
    None,
    /// An upstream of Envoy.
    Cluster,
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "direct response",
            Self::Cluster => "through an upstream",
        })
    }
}

/// Envoy's own filters for the same purpose.
pub const NATIVE: &str = "Envoy's api_key_auth and local_ratelimit (C++)";

/// A policy with a key and a limit.
const LIMITED: &str = ", api_key: {}, rate_limit: {limit: LIMIT, window: 1s, by: consumer}";
/// A limit that no load here reaches.
const UNREACHED: &str = "1000000";

/// Starts all Envoys. The first one has no filter.
pub async fn all(upstream_is: Upstream) -> Vec<Variant> {
    let svc = upstream("svc").await;
    let action = match upstream_is {
        Upstream::None => "respond: {status: 200}",
        Upstream::Cluster => "cluster: svc",
    };
    let file = |policy: &str, others: usize| {
        let measured = File::default()
            .and_route("measured", "/measured", format!("{action}{policy}"))
            .cluster("svc", svc)
            .consumers("- {name: alice, plan: pro, api_keys: [{sha256: $ALICE}]}")
            .plans("- {name: pro}");
        (0..others).fold(measured, |file, number| {
            let policy = LIMITED.replace("LIMIT", &(1000 + number).to_string());
            file.and_route(format!("other-{number}"), format!("/other/{number}"), format!("{action}{policy}"))
        })
    };
    let ours = |name: &str, policy: &str, others: usize| {
        let port = free_port();
        envoy::start(name, 1, port, &dump(&file(policy, others), port))
    };
    let replaced = |name: &str, filters: Vec<Value>| {
        let port = free_port();
        let mut bootstrap = dump(&file("", 0), port);
        replace_filters(&mut bootstrap, filters);
        envoy::start(name, 1, port, &bootstrap)
    };
    let bucket = json!({"max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s"});
    let limited = LIMITED.replace("LIMIT", UNREACHED);
    let mut variants = vec![
        replaced("nothing", vec![]),
        ours("Legation, on no route that is asked for", "", 1),
        ours("Legation: key and identity", ", api_key: {}", 0),
        ours("Legation: key, identity, limit and its response fields", &limited, 0),
        ours("Legation: the same in a gateway of 50 policies", &limited, 49),
        replaced(NATIVE, vec![api_key_auth(), local_ratelimit(&bucket)]),
        replaced("Lua: key, identity and limit", vec![lua()]),
    ];
    if let Ok(module) = std::env::var("PEER_WASM") {
        let configuration =
            std::env::var("PEER_CONFIG").map(|path| fs::read_to_string(path).unwrap()).unwrap_or_default();
        variants.push(replaced("PEER_WASM", vec![peer(&module, &configuration)]));
    }
    variants
}

fn lua() -> Value {
    let script = format!(
        r#"
local keys = {{["{ALICE_KEY}"] = "alice"}}
local tokens, last = 1000000, 0
function envoy_on_request(handle)
  local headers = handle:headers()
  local key = headers:get("x-api-key")
  local who = key and keys[key]
  if not who then
    handle:respond({{[":status"] = "401"}}, "")
    return
  end
  local now = handle:timestamp()
  tokens = math.min(1000000, tokens + (now - last) * 1000)
  last = now
  if tokens < 1 then
    handle:respond({{[":status"] = "429"}}, "")
    return
  end
  tokens = tokens - 1
  headers:replace("x-consumer-id", who)
  headers:remove("x-api-key")
end
"#
    );
    json!({"name": "lua", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": script}
    }})
}

fn peer(module: &str, configuration: &str) -> Value {
    json!({"name": "peer", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": "peer",
            "vm_config": {"vm_id": "peer", "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": module}}},
            "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration}
        }
    }})
}
