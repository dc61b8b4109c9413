//! Bytes → text: checks size and encoding before the YAML is parsed.

use super::{code, node::Span, report::Report};

/// The largest file, in bytes. 10,000 routes with everything on them take about 3 MiB.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The bytes as text without a byte order mark.
pub fn text<'a>(bytes: &'a [u8], report: &mut Report) -> Option<&'a str> {
    if bytes.len() > MAX_BYTES {
        let message = format!("the file is too large: at most {MAX_BYTES} bytes are read");
        report.error(code::TOO_LARGE, Span::START, message);
        return None;
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => refuse_nul(text, report).then_some(text),
        Err(error) => {
            let (good, bad) = bytes.split_at(error.valid_up_to());
            let byte = bad.first().copied().unwrap_or_default();
            let message = format!("byte 0x{byte:02x} is not UTF-8; the file must be UTF-8 text");
            report.error(code::NOT_UTF8, end_of(&String::from_utf8_lossy(good)), message);
            None
        }
    }
}

fn refuse_nul(text: &str, report: &mut Report) -> bool {
    match text.split_once('\0') {
        None => true,
        Some((before, _)) => {
            report.error(code::SYNTAX, end_of(before), "a NUL byte; the file must be text");
            false
        }
    }
}

/// The place just after `text`.
fn end_of(text: &str) -> Span {
    let line = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let clamp = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Span { line: clamp(line), column: clamp(column), width: 1 }
}
