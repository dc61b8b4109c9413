//! The subjects of measurements: proxies in their own processes.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::cost;
use crate::{ALICE_KEY, Client, Process};

/// A running proxy, or another server in its place.
pub struct Variant {
    pub name: String,
    pub started: Instant,
    pub port: u16,
    process: Process,
    _folder: TempDir,
}

impl Variant {
    /// Starts it. The folder has the files that the command reads. It is deleted with the variant.
    pub fn start(name: impl Into<String>, port: u16, folder: TempDir, command: &mut Command) -> Self {
        let name = name.into();
        let started = Instant::now();
        let process = Process::start(&name, command);
        Self { name, started, port, process, _folder: folder }
    }

    pub fn pid(&self) -> i32 {
        self.process.pid().as_raw()
    }

    /// Returns the CPU time that it has used.
    pub fn cpu(&self) -> Duration {
        self.processes().into_iter().map(cost::cpu).sum()
    }

    /// Returns the memory that it uses.
    pub fn resident_mib(&self) -> f64 {
        self.processes().into_iter().map(cost::resident_mib).sum()
    }

    /// Returns all its processes, since the workers of some servers have their own.
    fn processes(&self) -> Vec<i32> {
        let mut processes = cost::children(self.pid());
        processes.push(self.pid());
        processes
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/measured", self.port)
    }

    /// Returns the status of the answer to this key, if there is one.
    pub async fn status(&self, key: &str) -> Option<u16> {
        let answer = Client::new().try_get(&self.url(), &[("x-api-key", key)]).await;
        answer.ok().map(|answer| answer.status.as_u16())
    }

    pub async fn answers(&self) -> bool {
        self.status(ALICE_KEY).await == Some(200)
    }
}
