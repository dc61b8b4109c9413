//! The server's process, seen from outside (`proc(5)`).

use std::{fs, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// The kernel counts CPU time in ticks of this length, on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// A server in its own process. It ends when its standard input closes.
pub struct ServerProcess {
    child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// Its address.
    pub port: u16,
}

impl ServerProcess {
    /// Starts a server with this many clusters.
    pub async fn start(clusters: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(super::server::CLUSTERS, clusters.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = answers.next_line().await.unwrap().unwrap().parse().unwrap();
        Self { child, commands, answers, port }
    }

    /// Makes it publish the next generation, which changes one load assignment. Returns how long
    /// the translation took.
    pub async fn publish(&mut self) -> Duration {
        self.commands.write_all(b"publish\n").await.unwrap();
        let microseconds = self.answers.next_line().await.unwrap().unwrap();
        Duration::from_micros(microseconds.parse().unwrap())
    }

    /// Waits until it is idle.
    pub async fn settle(&self) {
        let mut before = self.cpu();
        loop {
            tokio::time::sleep(10 * TICK).await;
            let now = self.cpu();
            if now == before {
                return;
            }
            before = now;
        }
    }

    /// Returns the CPU time that it has used.
    pub fn cpu(&self) -> Duration {
        let stat = self.read("stat");
        // Fields 14 and 15. Field 2 is the command in parentheses.
        let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
        TICK * fields.map(|ticks| ticks.parse::<u32>().unwrap()).sum::<u32>()
    }

    /// Returns its peak memory.
    pub fn peak_mib(&self) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id().unwrap())).unwrap()
    }
}
