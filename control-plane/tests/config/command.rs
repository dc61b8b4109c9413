//! `legation validate` and `legation key`, as a person calls them.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

const GOOD: &str = "version: 1\nlisteners: [{name: http, port: 8000}]\n";
const BAD: &str = "version: 1\nlisteners: [{name: http, port: 0}]\nroutes: [{name: r}]\n";

fn legation(directory: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_legation"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn folder_with(text: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("gateway.yaml"), text).unwrap();
    folder
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_good_file_is_summed_up() {
    let folder = folder_with(GOOD);
    for arguments in [&["validate"][..], &["validate", "gateway.yaml"]] {
        let output = legation(folder.path(), arguments, "");
        assert_eq!(output.status.code(), Some(0));
        let expected = "gateway.yaml is valid: 1 listener, 0 routes, 0 clusters, 0 consumers, 0 plans\n";
        assert_eq!(stdout(&output), expected);
    }
}

#[test]
fn a_bad_file_is_explained_and_counted() {
    let output = legation(folder_with(BAD).path(), &["validate"], "");
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(text.contains("error[out_of_range]: a port must be 1 to 65535, not 0\n --> gateway.yaml:2:32"), "{text}");
    assert!(text.ends_with("\ngateway.yaml: 3 errors\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours where no terminal is");
}

#[test]
fn programs_read_json() {
    let output = legation(folder_with(BAD).path(), &["validate", "-o", "json"], "");
    assert_eq!(output.status.code(), Some(1));
    let entries: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::json!({
        "at": "gateway.yaml:2:32", "file": "gateway.yaml", "line": 2, "column": 32, "severity": "error",
        "code": "out_of_range", "message": "a port must be 1 to 65535, not 0", "help": null
    });
    assert_eq!(entries[0], expected);
    let good = legation(folder_with(GOOD).path(), &["validate", "-o", "json"], "");
    assert_eq!((good.status.code(), stdout(&good).as_str()), (Some(0), "[]\n"));
}

#[test]
fn warnings_fail_only_where_that_is_asked_for() {
    let folder = folder_with("version: 1\n");
    let lenient = legation(folder.path(), &["validate"], "");
    assert_eq!(lenient.status.code(), Some(0));
    assert!(stdout(&lenient).ends_with("0 plans, 1 warning\n"), "{}", stdout(&lenient));
    assert_eq!(legation(folder.path(), &["validate", "--strict"], "").status.code(), Some(1));
}

#[test]
fn what_cannot_be_read_is_one_error() {
    let folder = TempDir::new().unwrap();
    for path in ["missing.yaml", "."] {
        let output = legation(folder.path(), &["validate", path], "");
        assert_eq!(output.status.code(), Some(1));
        let text = stdout(&output);
        assert!(text.starts_with("error[unreadable]") && text.ends_with(&format!("{path}: 1 error\n")), "{text}");
    }
}

#[test]
fn wrong_arguments_are_a_usage_error() {
    let folder = TempDir::new().unwrap();
    for arguments in [&["validate", "-o", "xml"][..], &["validate", "a", "b"], &["key"]] {
        assert_eq!(legation(folder.path(), arguments, "").status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn variables_come_from_the_environment() {
    let folder = folder_with("version: 1\nlisteners: [{name: http, port: \"${env:PATH}\"}]\n");
    let output = legation(folder.path(), &["validate"], "");
    assert!(stdout(&output).contains("must be a whole number, not what the environment says"), "{}", stdout(&output));
}

#[test]
fn a_new_key_hashes_to_the_digest_beside_it() {
    let folder = TempDir::new().unwrap();
    let new = stdout(&legation(folder.path(), &["key", "new", "--consumer", "alice"], ""));
    let key = new.lines().next().unwrap().rsplit(' ').next().unwrap();
    let hashed = [
        legation(folder.path(), &["key", "hash", key], ""),
        legation(folder.path(), &["key", "hash"], &format!("{key}\n")),
        legation(folder.path(), &["key", "hash"], key),
    ];
    for output in hashed {
        let line = stdout(&output);
        assert!(line.starts_with("sha256: ") && new.contains(line.trim()), "{line}{new}");
    }
    let (_, yaml) = new.split_once("\n\n").unwrap();
    assert!(!yaml.contains(key), "the key does not go into the file");
    fs::write(folder.path().join("gateway.yaml"), format!("{GOOD}{yaml}")).unwrap();
    let valid = legation(folder.path(), &["validate"], "");
    assert!(stdout(&valid).contains("1 consumer,"), "{}", stdout(&valid));
}

#[test]
fn no_key_at_all_is_refused() {
    let output = legation(TempDir::new().unwrap().path(), &["key", "hash"], "\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("visible ASCII"));
}

#[test]
fn what_the_filter_would_refuse_by_its_size_is_refused_here() {
    let names: Vec<String> = (0..3_000).map(|number| format!("consumer-{number:0100}")).collect();
    let mut text = format!("{GOOD}consumers:\n");
    for name in &names {
        text.push_str(&format!("- {{name: {name}}}\n"));
    }
    // Every route names all of them, and the file them all once.
    text.push_str(&format!("clusters: [{{name: svc, endpoints: ['svc:80']}}]\nroutes:\n- name: r0\n  match: {{prefix: /0}}\n  cluster: svc\n  api_key: &all {{consumers: [{}]}}\n", names.join(", ")));
    for route in 1..60 {
        text.push_str(&format!("- {{name: r{route}, match: {{prefix: /{route}}}, cluster: svc, api_key: *all}}\n"));
    }
    let folder = folder_with(&text);
    let validated = legation(folder.path(), &["validate", "gateway.yaml"], "");
    let said = stdout(&validated);
    assert!(said.contains("error[too_large]: consumers, plans and policies take"), "{said}");
    assert_eq!(validated.status.code(), Some(1));
}
