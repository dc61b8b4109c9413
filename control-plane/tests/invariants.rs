//! What the architecture forbids, looked for in the sources: pure modules stay pure, and dependencies point one way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The modules that know no I/O, no time, no chance.
const PURE: &[&str] = &[
    "control-plane/src/config",
    "control-plane/src/files/certificates",
    "control-plane/src/files/key_pepper.rs",
    "control-plane/src/model",
    "control-plane/src/origin.rs",
    "control-plane/src/rollout/mod.rs",
    "control-plane/src/snapshot",
    "control-plane/src/status/propagation.rs",
    "control-plane/src/translate",
    "control-plane/src/xds/plan.rs",
    "control-plane/src/xds/session",
    "filters/gateway/src/algorithm",
    "filters/gateway/src/authenticate.rs",
    "filters/gateway/src/calendar.rs",
    "filters/gateway/src/charges.rs",
    "filters/gateway/src/compile",
    "filters/gateway/src/config",
    "filters/gateway/src/consumers.rs",
    "filters/gateway/src/credential.rs",
    "filters/gateway/src/decide.rs",
    "filters/gateway/src/edit.rs",
    "filters/gateway/src/identity.rs",
    "filters/gateway/src/json_path.rs",
    "filters/gateway/src/key_format.rs",
    "filters/gateway/src/limit.rs",
    "filters/gateway/src/metric_names.rs",
    "filters/gateway/src/pairs.rs",
    "filters/gateway/src/pepper.rs",
    "filters/gateway/src/ratelimit_fields.rs",
    "filters/gateway/src/reply.rs",
    "filters/gateway/src/route_policies.rs",
    "filters/gateway/src/rules.rs",
    "filters/gateway/src/slots.rs",
    "filters/gateway/src/stream_headers.rs",
    "filters/gateway/src/tables.rs",
    "filters/gateway/src/protobuf_struct.rs",
    "filters/gateway/src/text.rs",
    "filters/gateway/src/units.rs",
    "filters/gateway/src/ways.rs",
];

const IMPURE: &[&str] = &[
    "tokio",
    "tonic::transport",
    "std::fs",
    "std::env",
    "std::net::Tcp",
    "std::process",
    "Instant::now",
    "SystemTime::now",
    "getrandom",
    "RandomState",
    "std::thread",
];

/// For each module of the control plane, those that it must not use.
const ONE_WAY: &[(&str, &[&str])] = &[
    ("config", &["translate", "snapshot", "xds", "rollout", "status", "control_plane", "cli", "files"]),
    ("model", &["config", "translate", "snapshot", "xds", "rollout", "status", "control_plane", "cli", "files"]),
    ("translate", &["config", "xds", "rollout", "status", "control_plane", "cli", "files"]),
    ("snapshot", &["config", "model", "translate", "xds", "rollout", "status", "control_plane", "cli", "files"]),
    ("xds", &["config", "model", "translate", "rollout", "status", "control_plane", "cli", "files"]),
    ("status", &["config", "translate", "rollout", "control_plane", "cli", "files"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries.flat_map(|entry| sources(&entry.unwrap().path())).collect()
}

/// The code of a file before its tests, without comments.
fn code(path: &Path) -> String {
    if path.file_name().unwrap() == "tests.rs" {
        return String::new();
    }
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn pure_modules_touch_nothing_but_their_arguments() {
    let mut found = Vec::new();
    for source in PURE.iter().flat_map(|path| sources(&root().join(path))) {
        let code = code(&source);
        found.extend(
            IMPURE.iter().filter(|word| code.contains(**word)).map(|word| format!("{}: {word}", source.display())),
        );
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn dependencies_point_one_way() {
    let mut found = Vec::new();
    for (module, forbidden) in ONE_WAY {
        for source in sources(&root().join("control-plane/src").join(module)) {
            let code = code(&source);
            let uses = |name: &&&str| {
                code.contains(&format!("crate::{name}::")) || imports(&code).iter().any(|it| it == *name)
            };
            found.extend(forbidden.iter().filter(uses).map(|name| format!("{} uses {name}", source.display())));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// The first path segments of `use crate::{…}` and `use crate::…`.
fn imports(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for block in code.split("use crate::").skip(1) {
        let block = block.split(';').next().unwrap();
        let mut depth = 0;
        let mut name = String::new();
        for character in block.chars() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ':' | ',' | '\n' | ' ' => {
                    if depth <= 1 && !name.is_empty() {
                        names.push(name.clone());
                    }
                    name.clear();
                }
                letter => name.push(letter),
            }
        }
        names.push(name);
    }
    names
}

#[test]
fn only_the_reloader_writes_the_plan() {
    for source in sources(&root().join("control-plane/src")) {
        let writes = code(&source).contains("plans.send");
        assert!(!writes || source.ends_with("reload.rs"), "{} writes the plan", source.display());
    }
}
