//! A file with errors changes nothing, and the gateway reports every error.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
};

use nix::sys::signal::Signal;

use legation_testing::{File, eventually, legation, legation_path, upstream};

fn good(svc: impl std::fmt::Display) -> File {
    File::routes("- {name: svc, match: {prefix: /}, cluster: svc}").cluster("svc", svc)
}

const FOUR_MISTAKES: &str = r#"version: 1
listeners:
- {name: http, port: 80000}
routes:
- {name: svc, match: {prefix: /}, cluster: nowhere}
- name: slow
  match: {prefix: /slow}
  cluster: svc
  timeouts: {request: soon}
- {name: svc, match: {prefix: /again}, cluster: svc}
clusters:
- {name: svc, endpoints: ["127.0.0.1:1"]}
"#;

/// The places and codes of the mistakes.
const FOUND: [(&str, &str); 4] = [
    ("gateway.yaml:3:22", "out_of_range"),
    ("gateway.yaml:5:44", "unknown_cluster"),
    ("gateway.yaml:9:23", "bad_duration"),
    ("gateway.yaml:10:10", "duplicate_name"),
];

#[tokio::test(flavor = "multi_thread")]
async fn traffic_goes_on_and_everything_that_is_wrong_is_said_everywhere() {
    let svc = upstream("svc").await;
    let gateway = good(svc).start().await;
    let places = async || -> Vec<(String, String)> {
        let status = gateway.status().await;
        let diagnostics = status["file"]["diagnostics"].as_array().unwrap().clone();
        diagnostics.iter().map(|it| (it["at"].as_str().unwrap().into(), it["code"].as_str().unwrap().into())).collect()
    };

    gateway.write("version: 1\nlisteners: [{name: http\n");
    eventually("the broken file is noticed", || async { !places().await.is_empty() }).await;
    assert_eq!(places().await.len(), 1);
    assert_eq!(gateway.get("/", &[]).await.status, 200);

    gateway.write(FOUR_MISTAKES);
    eventually("the other file is noticed", || async { places().await.len() == 4 }).await;
    let validate = legation().arg("validate").arg(gateway.path()).output().unwrap();
    assert_eq!(validate.status.code(), Some(1));
    let validated = String::from_utf8(validate.stdout).unwrap() + &String::from_utf8(validate.stderr).unwrap();
    for (at, code) in FOUND {
        let said = places().await;
        assert!(said.iter().any(|(place, what)| place.ends_with(at) && what == code), "{at} {code}: {said:?}");
        assert!(validated.contains(at) && validated.contains(code), "{at} {code}: {validated}");
        gateway.process.says(&[at, code]).await;
    }
    assert_eq!(gateway.get("/", &[]).await.status, 200);
    assert_eq!(gateway.client.get(&gateway.admin_url("/readyz"), &[]).await.status, 200);
    assert_eq!(gateway.status().await["generation"]["serving"], 1);

    gateway.write(good(svc).to_string().replace("prefix: /", "prefix: /new"));
    gateway.confirmed(2).await;
    eventually("the mended file takes effect", || async { gateway.get("/new", &[]).await.status == 200 }).await;
    assert!(places().await.is_empty());
}

fn validate(arguments: &[&str]) -> Output {
    Command::new(legation_path()).arg("validate").args(arguments).output().unwrap()
}

/// Returns the code of the only error of a file.
fn one_error(content: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.yaml");
    fs::write(&path, content).unwrap();
    let output = validate(&[path.to_str().unwrap(), "-o", "json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let diagnostics: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let errors: Vec<_> = diagnostics.as_array().unwrap().iter().filter(|it| it["severity"] == "error").collect();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors[0]["code"].as_str().unwrap().to_owned()
}

#[test]
fn hostile_files_get_one_clear_error_each() {
    let alias_bomb = {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            text += &format!("a{level}: &a{level} [{aliases}]\n");
        }
        text
    };
    for (what, content, code) in [
        ("empty", b"".to_vec(), "empty"),
        ("100 MB", vec![b'#'; 100 << 20], "too_large"),
        ("alias bomb", alias_bomb.into_bytes(), "too_complex"),
        ("10,000 deep", "[".repeat(10_000).into_bytes(), "too_complex"),
        (
            "10,000 deep, closed",
            ("version: ".to_owned() + &"[".repeat(10_000) + &"]".repeat(10_000)).into_bytes(),
            "too_complex",
        ),
        ("NUL", b"version: 1\nlisteners: \0\n".to_vec(), "syntax"),
        ("not UTF-8", b"version: 1\n# \xff\n".to_vec(), "not_utf8"),
        ("tab", b"version: 1\nlisteners:\n\t- {name: a, port: 1}\n".to_vec(), "syntax"),
        ("duplicate key", b"version: 1\nversion: 1\n".to_vec(), "duplicate_key"),
    ] {
        assert_eq!(one_error(&content), code, "{what}");
    }
}

#[test]
fn what_is_not_a_readable_file_is_one_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    let said = |path: &str| String::from_utf8(validate(&[path]).stdout).unwrap();
    assert!(said(directory.path().to_str().unwrap()).contains("it is a directory"));
    assert!(said("/no/such/gateway.yaml").contains("there is no such file"));
    let pipe = directory.path().join("pipe.yaml");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(said(pipe.to_str().unwrap()).contains("it is not a regular file"));
    let locked = directory.path().join("locked.yaml");
    fs::write(&locked, "version: 1\n").unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything.
    if fs::read(&locked).is_err() {
        assert!(said(locked.to_str().unwrap()).contains("permission denied"));
    }
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_fine() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.yaml");
    let text = good("127.0.0.1:1").at(8000);
    for content in [text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
        fs::write(&path, content).unwrap();
        let output = validate(&[path.to_str().unwrap(), "--strict"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.yaml");
    let text = good("127.0.0.1:1").at(8000);
    fs::write(&path, text.replace("cluster: svc}", "cluster: svc, jwt: {}}")).unwrap();
    let output = validate(&[path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("`jwt` is not supported yet"), "{said}");
}

#[test]
fn a_start_with_a_bad_file_and_none_confirmed_before_fails() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.yaml");
    fs::write(&path, FOUR_MISTAKES).unwrap();
    let output = legation().arg("serve").arg(&path).args(["--xds", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    for (at, code) in FOUND {
        assert!(said.contains(at) && said.contains(code), "{at} {code}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_bad_file_serves_the_last_confirmed_one_and_says_so() {
    let svc = upstream("svc").await;
    let mut gateway = good(svc).start().await;
    let kept = gateway.directory().join(".legation/confirmed.yaml");
    eventually("the confirmed file is kept", || async { kept.exists() }).await;
    gateway.process.end(Signal::SIGTERM);
    gateway.write(FOUR_MISTAKES);

    gateway.run_again([]).await;
    let url = gateway.url("/");
    eventually("what was confirmed is served", || gateway.client.gets(200, &url, &[])).await;
    assert_eq!(gateway.status().await["file"]["diagnostics"].as_array().unwrap().len(), 4);
    gateway.process.says(&["serving the last confirmed one"]).await;
}
