//! Every way to save a file reloads it, once.

use std::{fs, io::Write, os::unix::fs::symlink, path::Path, process::Command};

use crate::support::{Gateway, Process, admin_address, eventually, legation};

fn file(port: u16, body: &str) -> String {
    format!(
        "version: 1\nlisteners: [{{name: http, port: {port}}}]\nroutes:\n\
         - {{name: a, match: {{prefix: /}}, respond: {{status: 200, body: {body}}}}}\n"
    )
}

async fn answers(gateway: &Gateway, body: &str) -> bool {
    gateway.get("/", &[]).await.body == body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_a_truncating_write_and_sed_reload_once_each() {
    let gateway = Gateway::start(|port| file(port, "zero")).await;
    let path = gateway.path();
    let new = gateway.directory().join("new.yaml");
    let reloads = async || {
        let metrics = gateway.client.get(&gateway.admin_url("/metrics"), &[]).await;
        let text = String::from_utf8(metrics.body.to_vec()).unwrap();
        let counts = text.lines().filter(|line| line.starts_with("legation_reloads_total"));
        counts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum::<u64>()
    };

    fs::write(&new, file(gateway.port, "one")).unwrap();
    fs::rename(&new, &path).unwrap();
    eventually("the renamed file takes effect", || answers(&gateway, "one")).await;
    assert_eq!(reloads().await, 2);

    fs::write(&path, file(gateway.port, "two")).unwrap();
    eventually("the file written in place takes effect", || answers(&gateway, "two")).await;
    assert_eq!(reloads().await, 3);

    let sed = Command::new("sed").args(["-i", "s/body: two/body: three/"]).arg(&path).status().unwrap();
    assert!(sed.success());
    eventually("sed's file takes effect", || answers(&gateway, "three")).await;
    assert_eq!(reloads().await, 4);
    assert_eq!(gateway.status().await["generation"]["serving"], 4);

    // The same content again is no generation.
    fs::write(&path, file(gateway.port, "three")).unwrap();
    fs::write(&path, file(gateway.port, "three") + "# a comment\n").unwrap();
    eventually("the comment is read", || async { reloads().await == 5 }).await;
    assert_eq!(gateway.status().await["generation"]["serving"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_file_takes_no_effect_while_it_is_written() {
    let gateway = Gateway::start(|port| file(port, "whole")).await;
    let text = file(gateway.port, "again") + "- {name: b, match: {prefix: /b}, respond: {status: 200}}\n";
    // The first half is a good file by itself.
    let (half, rest) = text.split_at(text.find("- {name: b").unwrap());
    let mut open = fs::File::create(gateway.path()).unwrap();
    open.write_all(half.as_bytes()).unwrap();
    open.sync_all().unwrap();
    // Longer than any burst of events: many requests, one after the other.
    for _ in 0..200 {
        assert!(answers(&gateway, "whole").await);
    }
    open.write_all(rest.as_bytes()).unwrap();
    drop(open);
    eventually("the whole file takes effect", || answers(&gateway, "again")).await;
    assert_eq!(gateway.status().await["generation"]["serving"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_link_reloads_once_as_kubernetes_does_it() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let version = |name: &str, body: &str| {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("gateway.yaml"), file(1, body)).unwrap();
    };
    let point = |name: &str| {
        symlink(name, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    version("..v1", "one");
    point("..v1");
    symlink("..data/gateway.yaml", root.join("gateway.yaml")).unwrap();
    let served = serve(&root.join("gateway.yaml")).await;

    for (generation, name) in [(2, "..v2"), (3, "..v3")] {
        version(name, name);
        point(name);
        eventually("the link's new end is served", || async { served.generation().await == generation }).await;
    }
    assert_eq!(served.process.output().matches("generation 2:").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_signal_looks_at_the_file_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.yaml");
    fs::write(&path, file(1, "one")).unwrap();
    let served = serve(&path).await;
    fs::write(&path, file(1, "two")).unwrap();
    served.process.signal(nix::sys::signal::Signal::SIGHUP);
    eventually("the new content is served", || async { served.generation().await == 2 }).await;
}

/// A control plane alone.
struct Served {
    process: Process,
    admin: std::net::SocketAddr,
}

async fn serve(path: &Path) -> Served {
    let mut command = legation();
    command.arg("serve").arg(path).args(["--xds", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let process = Process::start("legation serve", &mut command);
    let admin = admin_address(&process).await;
    Served { process, admin }
}

impl Served {
    async fn generation(&self) -> u64 {
        let url = format!("http://{}/status", self.admin);
        crate::support::Client::new().get(&url, &[]).await.json()["generation"]["serving"].as_u64().unwrap()
    }
}
