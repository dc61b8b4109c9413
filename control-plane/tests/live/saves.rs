//! Every way to save a file reloads it, once. Each test counts reloads, and so has its own gateway.

use std::{fmt, fs, io::Write, os::unix::fs::symlink, process::Command};

use legation_testing::{ControlPlane, File, Gateway, eventually};
use nix::sys::signal::Signal;

/// Returns the text of a gateway's file with this answer.
fn file(gateway: &Gateway, body: impl fmt::Display) -> String {
    File::answering(body).at(gateway.port)
}

async fn answers(gateway: &Gateway, body: &str) -> bool {
    gateway.get("/", &[]).await.body == body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_a_truncating_write_and_sed_reload_once_each() {
    let gateway = Gateway::answering("zero").start().await;
    let path = gateway.path();
    let new = gateway.directory().join("new.yaml");
    let reloads = async || {
        let text = gateway.metrics().await;
        let counts = text.lines().filter(|line| line.starts_with("legation_reloads_total"));
        counts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum::<u64>()
    };

    fs::write(&new, file(&gateway, "one")).unwrap();
    fs::rename(&new, &path).unwrap();
    eventually("the renamed file takes effect", || answers(&gateway, "one")).await;
    assert_eq!(reloads().await, 2);

    fs::write(&path, file(&gateway, "two")).unwrap();
    eventually("the file written in place takes effect", || answers(&gateway, "two")).await;
    assert_eq!(reloads().await, 3);

    let sed = Command::new("sed").args(["-i", "s/body: two/body: three/"]).arg(&path).status().unwrap();
    assert!(sed.success());
    eventually("sed's file takes effect", || answers(&gateway, "three")).await;
    assert_eq!(reloads().await, 4);
    assert_eq!(gateway.status().await["generation"]["serving"], 4);

    // The same content again makes no generation.
    fs::write(&path, file(&gateway, "three")).unwrap();
    fs::write(&path, file(&gateway, "three") + "# a comment\n").unwrap();
    eventually("the comment is read", || async { reloads().await == 5 }).await;
    assert_eq!(gateway.status().await["generation"]["serving"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_file_takes_no_effect_while_it_is_written() {
    let gateway = Gateway::answering("whole").start().await;
    let text = file(&gateway, "again") + "- {name: b, match: {prefix: /b}, respond: {status: 200}}\n";
    // The first half is a good file by itself.
    let (half, rest) = text.split_at(text.find("- {name: b").unwrap());
    let mut open = fs::File::create(gateway.path()).unwrap();
    open.write_all(half.as_bytes()).unwrap();
    open.sync_all().unwrap();
    // Many requests, one after the other, take longer than any burst of file events.
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
        fs::write(root.join(name).join("gateway.yaml"), File::answering(body).at(1)).unwrap();
    };
    let point = |name: &str| {
        symlink(name, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    version("..v1", "one");
    point("..v1");
    symlink("..data/gateway.yaml", root.join("gateway.yaml")).unwrap();
    let control_plane = ControlPlane::on(&root.join("gateway.yaml"), [""; 0]).await;

    for (generation, name) in [(2, "..v2"), (3, "..v3")] {
        version(name, name);
        point(name);
        control_plane.serves(generation).await;
    }
    assert_eq!(control_plane.process.output().matches("generation 2:").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_signal_looks_at_the_file_again() {
    let control_plane = ControlPlane::start(File::answering("one").at(1), [""; 0]).await;
    control_plane.write(File::answering("two").at(1));
    control_plane.process.signal(Signal::SIGHUP);
    control_plane.serves(2).await;
}
