//! Free ports, below the range that the system uses for outgoing connections.

use std::{
    net::TcpListener,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// Returns a free port that no other call of this process gets.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        // Concurrent test binaries start at different places.
        let offset = process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + offset % COUNT).expect("below 32,000");
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free between {FIRST} and {}", FIRST + COUNT);
}

/// A port that this process holds until this is dropped.
pub struct TakenPort {
    pub port: u16,
    _listener: TcpListener,
}

impl TakenPort {
    pub fn take() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a free port");
        Self { port: listener.local_addr().expect("an address").port(), _listener: listener }
    }
}
