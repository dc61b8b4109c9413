//! Looks in the sources for what the architecture forbids: pure modules stay pure, and
//! dependencies point one way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The modules that know no input and output, no time and no randomness.
const PURE: &[&str] = &[
    "control-plane/src/config",
    "control-plane/src/diagnostic",
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
    "filters/gateway/src/api_key",
    "filters/gateway/src/caller.rs",
    "filters/gateway/src/compile",
    "filters/gateway/src/config",
    "filters/gateway/src/consumer",
    "filters/gateway/src/decide.rs",
    "filters/gateway/src/headers.rs",
    "filters/gateway/src/host/metric_names.rs",
    "filters/gateway/src/host/pairs.rs",
    "filters/gateway/src/identity.rs",
    "filters/gateway/src/known.rs",
    "filters/gateway/src/names.rs",
    "filters/gateway/src/outside.rs",
    "filters/gateway/src/plan",
    "filters/gateway/src/policy",
    "filters/gateway/src/problem.rs",
    "filters/gateway/src/rate_limit",
    "filters/gateway/src/reply.rs",
    "filters/gateway/src/stream_headers.rs",
    "filters/gateway/src/units",
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

/// The rooms that each room may use, as far as the architecture says so: config → model ←
/// translate → snapshot ← session ← server. `xds::session` and the like are rooms within a room.
const ONE_WAY: &[(&str, &[&str])] = &[
    ("config", &["diagnostic", "model", "origin", "route_features"]),
    ("diagnostic", &["origin"]),
    ("model", &["origin", "route_features"]),
    ("origin", &[]),
    ("snapshot", &["origin"]),
    ("status", &["diagnostic", "xds"]),
    ("translate", &["model", "origin", "route_features", "snapshot"]),
    ("xds", &["snapshot"]),
    ("xds::plan", &["snapshot"]),
    ("xds::session", &["snapshot"]),
    ("xds::server", &["snapshot", "xds::plan", "xds::session"]),
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
    let source = root().join("control-plane/src");
    let mut found = Vec::new();
    for (room, allowed) in ONE_WAY {
        let inner = room.contains("::");
        for used in rooms(&source, if inner { 2 } else { 1 }).remove(*room).expect(room) {
            // Which part of another room is used does not matter.
            let outer = used.split("::").next().unwrap();
            let is_allowed = allowed.contains(&used.as_str()) || (inner && outer != "xds" && allowed.contains(&outer));
            if !is_allowed {
                found.push(format!("{room} uses {used}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_two_rooms_need_each_other() {
    let rooms = rooms(&root().join("control-plane/src"), 1);
    assert!(rooms.len() > 10 && rooms["xds"].contains("snapshot"), "the rooms are found: {rooms:#?}");
    let circle = circle(&rooms);
    assert!(circle.is_none(), "{circle:?}");
}

#[test]
fn no_two_rooms_of_the_filter_need_each_other() {
    let rooms = rooms(&root().join("filters/gateway/src"), 1);
    assert!(rooms.len() > 15 && rooms["decide"].contains("policy"), "the rooms are found: {rooms:#?}");
    let circle = circle(&rooms);
    assert!(circle.is_none(), "{circle:?}");
}

#[test]
fn all_of_the_filter_is_pure_but_what_calls_envoy() {
    let source = root().join("filters/gateway/src");
    let pure: Vec<PathBuf> = PURE.iter().map(|path| root().join(path)).collect();
    let mut impure: Vec<String> = sources(&source)
        .into_iter()
        .filter(|file| !pure.iter().any(|pure| file.starts_with(pure)))
        .map(|file| file.strip_prefix(&source).unwrap().display().to_string())
        .collect();
    impure.sort();
    let around = ["host/exports.rs", "host/glue.rs", "host/imports.rs", "host/metrics.rs", "host/mod.rs", "lib.rs"];
    assert_eq!(impure, around);
    let is_unsafe = |file: &str| code(&source.join(file)).contains("unsafe ");
    let with_unsafe: Vec<&str> = around.into_iter().filter(|file| is_unsafe(file)).collect();
    assert_eq!(with_unsafe, ["host/exports.rs", "host/imports.rs"]);
    let inside = pure.iter().filter(|path| path.starts_with(&source)).flat_map(|path| sources(path));
    for file in inside {
        assert!(!code(&file).contains("unsafe "), "{}", file.display());
    }
}

#[test]
fn a_circle_is_found() {
    let rooms = |text: &str| {
        let room = |line: &str| {
            let (room, uses) = line.split_once(": ").unwrap();
            (room.to_owned(), uses.split(' ').map(str::to_owned).collect())
        };
        text.split(", ").map(room).collect::<Rooms>()
    };
    assert_eq!(circle(&rooms("a: b c, b: c, c: d")), None);
    assert_eq!(circle(&rooms("a: b, b: c, c: b")), Some(["b", "c", "b"].map(str::to_owned).to_vec()));
}

/// Each room and the rooms that it uses.
type Rooms = BTreeMap<String, BTreeSet<String>>;

/// The rooms of a crate: its modules of the first level, or `depth` levels.
fn rooms(source: &Path, depth: usize) -> Rooms {
    let room = |path: &[String]| path.iter().take(depth).cloned().collect::<Vec<_>>().join("::");
    let mut rooms = Rooms::new();
    for file in sources(source) {
        let module = module(file.strip_prefix(source).unwrap());
        let code = code(&file);
        let used = uses(&code, &module);
        let of_file = rooms.entry(room(&module)).or_default();
        of_file.extend(used.iter().map(|path| room(path)));
    }
    // A path that is no module is a type or function of the module around it.
    let known = rooms.keys().cloned().collect::<BTreeSet<_>>();
    for (name, used) in &mut rooms {
        *used = used
            .iter()
            .map(|path| if known.contains(path) { path } else { path.rsplit_once("::").map_or("", |(outer, _)| outer) })
            .filter(|path| !path.is_empty() && *path != name && !name.starts_with(&format!("{path}::")))
            .map(str::to_owned)
            .collect();
    }
    // The crate's own root only lists the rooms.
    rooms.retain(|name, _| !["", "lib", "main"].contains(&name.as_str()));
    rooms
}

/// The path of a file's module: `xds/session/mod.rs` is `xds::session`.
fn module(file: &Path) -> Vec<String> {
    let path = file.with_extension("");
    let parts = path.iter().map(|part| part.to_str().unwrap().to_owned());
    parts.filter(|part| part != "mod").collect()
}

/// The paths within the crate that a file of this module uses, from the root:
/// `xds::session::Event`.
fn uses(code: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let outer = |levels: usize| module[..module.len().saturating_sub(levels)].to_vec();
    for statement in code.split("use ").skip(1).filter_map(|rest| rest.split(';').next()) {
        for path in expanded(statement) {
            let supers = path.iter().take_while(|part| *part == "super").count();
            match path.first().map(String::as_str) {
                Some("crate") => found.push(path[1..].to_vec()),
                Some("super") => found.push([outer(supers), path[supers..].to_vec()].concat()),
                _ => {}
            }
        }
    }
    for rest in code.split("crate::").skip(1) {
        let path = rest.split(|it: char| !(it.is_alphanumeric() || "_:".contains(it))).next().unwrap();
        found.push(path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect());
    }
    found.retain(|path| !path.is_empty());
    found
}

/// All paths of a `use`, braces resolved: `a::{b, c::{d}}` is `a::b` and `a::c::d`.
fn expanded(statement: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let mut outer: Vec<Vec<String>> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut word = String::new();
    for character in statement.chars().chain([',']) {
        match character {
            '{' => {
                outer.push(path.clone());
            }
            ',' | '}' => {
                if !word.is_empty() {
                    path.push(std::mem::take(&mut word));
                    paths.push(path.clone());
                }
                if character == '}' {
                    outer.pop();
                }
                path = outer.last().cloned().unwrap_or_default();
            }
            ':' if !word.is_empty() => path.push(std::mem::take(&mut word)),
            letter if letter.is_alphanumeric() || letter == '_' => word.push(letter),
            _ => {}
        }
    }
    paths
}

/// Some rooms that need each other, the first once more at the end.
fn circle(rooms: &Rooms) -> Option<Vec<String>> {
    fn walk(rooms: &Rooms, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
        let room = way.last()?.clone();
        for next in rooms.get(&room).into_iter().flatten() {
            if let Some(begin) = way.iter().position(|it| it == next) {
                return Some(way[begin..].iter().chain([next]).cloned().collect());
            }
            if done.contains(next) {
                continue;
            }
            way.push(next.clone());
            if let Some(circle) = walk(rooms, way, done) {
                return Some(circle);
            }
            way.pop();
        }
        done.insert(room);
        None
    }
    let mut done = BTreeSet::new();
    rooms.keys().find_map(|room| walk(rooms, &mut vec![room.clone()], &mut done))
}

#[test]
fn only_the_reloader_writes_the_plan() {
    for source in sources(&root().join("control-plane/src")) {
        let writes = code(&source).contains("plans.send");
        assert!(!writes || source.ends_with("reload.rs"), "{} writes the plan", source.display());
    }
}
