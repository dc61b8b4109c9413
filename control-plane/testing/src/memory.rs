//! The memory of a process, as the kernel counts it.

use std::fs;

use nix::unistd::Pid;

use super::Gateway;

/// Envoy's memory from a moment on.
pub struct Memory {
    pid: Pid,
    before: u64,
}

impl Memory {
    pub fn of(gateway: &Gateway) -> Self {
        let pid = gateway.envoy_pid();
        // Makes the kernel count the peak from now on.
        fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("it is our process");
        Self { pid, before: field(pid, "VmRSS:") }
    }

    /// Returns the growth at the peak since then, in bytes.
    pub fn peak(&self) -> u64 {
        field(self.pid, "VmHWM:").saturating_sub(self.before)
    }
}

/// A field of `/proc/PID/status` (`proc(5)`), in bytes.
pub(super) fn field(pid: Pid, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says it");
    let kib: u64 = line.trim().strip_suffix(" kB").and_then(|kib| kib.parse().ok()).expect("a number of KiB");
    kib * 1024
}
