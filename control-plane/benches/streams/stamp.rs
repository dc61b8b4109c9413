//! An event and the time in it: when the upstream wrote it, by the clock that all processes of a machine have in common.

use std::time::Duration;

use nix::time::ClockId;

const FIELD: &[u8] = b"data: ";
const DIGITS: usize = 20;
/// With it an event has about the size of a word that a language model says.
const PADDING: &str = " it goes with the stamp as far as the reader, which looks whether it is whole";
const END: &[u8] = b"\n\n";

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub fn now() -> u64 {
    let now = ClockId::CLOCK_MONOTONIC.now().expect("there is this clock");
    u64::try_from(Duration::from(now).as_nanos()).expect("below 500 years")
}

/// An event of this moment, as a chunk of a body.
pub fn chunk() -> String {
    let event = format!("data: {:0DIGITS$}{PADDING}\n\n", now());
    format!("{:x}\r\n{event}\r\n", event.len())
}

/// Takes the events that are there whole, and gives what their stamps say. What a proxy writes around them is passed over.
pub fn take(body: &mut Vec<u8>) -> Vec<u64> {
    let mut stamps = Vec::new();
    while let Some(end) = find(body, END) {
        let event = body.drain(..end + END.len()).take(end).collect::<Vec<_>>();
        let start = find(&event, FIELD).expect("an event") + FIELD.len();
        let event = String::from_utf8_lossy(&event[start..]);
        let stamp = event.strip_suffix(PADDING).and_then(|digits| digits.parse().ok());
        stamps.push(stamp.unwrap_or_else(|| panic!("an event came in pieces: {event}")));
    }
    stamps
}

/// Where the one is in the other.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
