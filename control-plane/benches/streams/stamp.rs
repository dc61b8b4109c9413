//! Events with the time at which the upstream wrote them, by a clock that all processes of a
//! machine share.

use std::time::Duration;

use nix::time::ClockId;

const FIELD: &[u8] = b"data: ";
const DIGITS: usize = 20;
/// Padding. It makes an event about as large as a word of a language model.
const PADDING: &str = " it goes with the stamp as far as the reader, which looks whether it is whole";
const END: &[u8] = b"\n\n";

/// Returns nanoseconds of `CLOCK_MONOTONIC`.
pub fn now() -> u64 {
    let now = ClockId::CLOCK_MONOTONIC.now().expect("there is this clock");
    u64::try_from(Duration::from(now).as_nanos()).expect("below 500 years")
}

/// Returns an event with the current time, as a chunk of a body.
pub fn chunk() -> String {
    let event = format!("data: {:0DIGITS$}{PADDING}\n\n", now());
    format!("{:x}\r\n{event}\r\n", event.len())
}

/// Takes the complete events and returns their times. It skips what a proxy writes around them.
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

/// Returns the position of `wanted` in `bytes`.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
