//! Meaningless requests, for both protocols.

use legation_testing::{ALICE_KEY, Chance};

type Bytes = Vec<u8>;

pub struct Request {
    /// Whether it has the good key in any place and any form.
    pub has_key: bool,
    pub method: Bytes,
    pub path: Bytes,
    pub authority: Bytes,
    pub headers: Vec<(Bytes, Bytes)>,
    pub body: Bytes,
    /// Whether its connection over HTTP/1.1 may be unusable after it.
    pub is_last: bool,
}

/// Names that Envoy, the filter or an upstream reads.
const NAMES: &[&str] = &[
    "x-api-key",
    "authorization",
    "cookie",
    "x-consumer-id",
    "x-consumer-plan",
    "x_consumer_id",
    "x-consumer_plan",
    "x-consumer-id-",
    "content-type",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
    "x-envoy-original-path",
    "x-envoy-internal",
    "accept",
    "accept-encoding",
    "grpc-timeout",
    "range",
    "via",
];

/// Headers after which the connection may be unusable.
const HOP_BY_HOP: &[(&str, &str)] = &[
    ("connection", "close"),
    ("connection", "x-api-key, x-consumer-id"),
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("upgrade", "h2c"),
    ("te", "trailers"),
    ("transfer-encoding", "chunked"),
    ("transfer-encoding", "gzip, chunked"),
    ("content-length", "7"),
    ("content-length", "-1"),
    ("expect", "100-continue"),
    ("keep-alive", "x"),
    ("proxy-connection", "keep-alive"),
    ("host", "other.example"),
];

const METHODS: &[&str] =
    &["GET", "GET", "GET", "GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "PATCH", "PROPFIND", "POST", "PUT", "M-SEARCH"];

const TYPES: &[&str] = &[
    "application/grpc",
    "application/grpc+proto",
    "application/grpc; charset=\u{fffd}",
    "application/grpc-web",
    "application/json",
    "multipart/form-data; boundary=",
    ";;;=",
];

const AUTHORITIES: &[&str] =
    &["all.example", "ALL.example:80", "a.b.example.", "[::1]:99", "127.0.0.1", "x", "%41", "a_b"];

/// Pieces of paths, queries and cookies.
const PIECES: &[&str] = &[
    "/",
    "//",
    "/.",
    "/..",
    "/%2e%2e/",
    "/%2f",
    "/%5c",
    "\\",
    "?",
    "??",
    "&",
    "&&",
    "=",
    "==",
    ";",
    "; ",
    ",",
    "+",
    "%",
    "%4",
    "%zz",
    "%00",
    "%ff",
    "%C0%AF",
    "%6bey=",
    "k%65y=",
    "key=",
    "KEY=",
    "key",
    "key%3d",
    "open",
    "strict",
    "a",
    "lg_",
    "*",
    "~",
    "!$'()",
    ":",
    "@",
    "|",
    "^",
    "\"",
    "<>",
    "{}",
    "`",
    "lg_abc_def",
    "\t",
    " ",
];

const TOKEN: &[u8] = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

impl Request {
    /// Makes up a request. Only a few of those that `may_have_key` have the good key.
    pub fn any(chance: &mut Chance, may_have_key: bool) -> Self {
        let mut request = Self {
            has_key: false,
            method: method(chance),
            path: Vec::new(),
            authority: chance.pick(AUTHORITIES).as_bytes().to_vec(),
            headers: Vec::new(),
            body: Vec::new(),
            is_last: false,
        };
        request.path = path(chance);
        for _ in 0..chance.below(12) {
            request.add_header(chance);
        }
        if chance.one_in(300) {
            request.add_many(chance);
        }
        if chance.one_in(300) {
            let value = text(chance, 60 << 10);
            let name = if chance.one_in(3) { token(chance) } else { chance.pick(NAMES).as_bytes().to_vec() };
            request.headers.push((name, value));
        }
        if may_have_key && chance.one_in(8) {
            request.add_key(chance);
        }
        if chance.one_in(30) {
            request.break_off(chance);
        }
        request
    }

    fn add_header(&mut self, chance: &mut Chance) {
        let name = if chance.one_in(4) { token(chance) } else { chance.pick(NAMES).as_bytes().to_vec() };
        let value = match (name.as_slice(), chance.below(4)) {
            (_, 0) => noise(chance, 80),
            (b"cookie", _) => pieces(chance),
            (b"authorization", kind) => {
                [["Bearer", "bEARER ", "Basic", "Bearer\t"][kind].as_bytes(), b" ", &noise(chance, 20)].concat()
            }
            (b"content-type", _) => chance.pick(TYPES).as_bytes().to_vec(),
            (b"x-forwarded-for", 1) => format!("{}.{}.2.1", chance.below(256), chance.below(256)).into_bytes(),
            (b"x-forwarded-for", 2) => format!("2001:db8:{:x}::1", chance.below(1 << 16)).into_bytes(),
            (_, 1) => Vec::new(),
            (_, 2) => pieces(chance),
            _ => text(chance, 40),
        };
        let copies = if chance.one_in(8) { 2 + chance.below(3) } else { 1 };
        for _ in 0..copies {
            let name =
                name.iter().map(|byte| if chance.one_in(6) { byte.to_ascii_uppercase() } else { *byte }).collect();
            self.headers.push((name, value.clone()));
        }
    }

    fn add_many(&mut self, chance: &mut Chance) {
        for number in 0..1000 {
            let name = match chance.below(3) {
                0 => format!("x-{number}").into_bytes(),
                1 => b"cookie".to_vec(),
                _ => token(chance),
            };
            self.headers.push((name, noise(chance, 12)));
        }
    }

    /// Adds the good key: in the right place, in a wrong one, or malformed.
    fn add_key(&mut self, chance: &mut Chance) {
        self.has_key = true;
        let (name, value) = match chance.below(8) {
            0 => ("authorization", format!("Bearer {ALICE_KEY}")),
            1 => ("cookie", format!("a=1; key={ALICE_KEY};;")),
            2 => {
                let joint = if self.path.contains(&b'?') { "&" } else { "?" };
                let name = chance.pick(&["key", "%6bey", "ke%79"]);
                self.path.extend(format!("{joint}{name}={ALICE_KEY}").as_bytes());
                return;
            }
            3 => ("x-other-key", ALICE_KEY.to_owned()),
            4 => ("x-api-key", format!("{ALICE_KEY},{ALICE_KEY}")),
            _ => ("x-api-key", ALICE_KEY.to_owned()),
        };
        self.headers.insert(chance.below(self.headers.len() + 1), (name.as_bytes().to_vec(), value.into_bytes()));
    }

    /// Adds something after which the connection over HTTP/1.1 may be unusable.
    fn break_off(&mut self, chance: &mut Chance) {
        self.is_last = true;
        match chance.below(4) {
            0 => {
                self.method = b"CONNECT".to_vec();
                if chance.one_in(2) {
                    self.path = self.authority.clone();
                }
            }
            1 => self.path = [&*self.path, &*noise(chance, 30)].concat(),
            2 => {
                self.method = b"POST".to_vec();
                self.body = noise(chance, 2000);
                self.headers.push((b"content-length".to_vec(), self.body.len().to_string().into_bytes()));
            }
            _ => {
                for _ in 0..=chance.below(2) {
                    let (name, value) = chance.pick(HOP_BY_HOP);
                    self.headers.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
                }
            }
        }
    }
}

/// Changes some bytes, so that they may be no message any more.
pub fn spoil(chance: &mut Chance, bytes: &mut Bytes) {
    for _ in 0..=chance.below(6) {
        let at = chance.below(bytes.len() + 1);
        match chance.below(4) {
            0 => drop(bytes.splice(at..at, (0..chance.below(9)).map(|_| chance.number() as u8).collect::<Vec<_>>())),
            1 => drop(bytes.drain(at..(at + chance.below(9)).min(bytes.len()))),
            2 => bytes.truncate(bytes.len() - chance.below(bytes.len() / 8 + 1)),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = chance.number() as u8;
                }
            }
        }
    }
}

fn method(chance: &mut Chance) -> Bytes {
    if chance.one_in(200) { token(chance) } else { chance.pick(METHODS).as_bytes().to_vec() }
}

fn path(chance: &mut Chance) -> Bytes {
    if chance.one_in(100) {
        return b"*".to_vec();
    }
    let start = *chance.pick(&["/", "/", "/open", "/open/", "/strict/", "/strict", "/open?"]);
    // A blank would end the path in HTTP/1.1.
    let rest = pieces(chance).into_iter().filter(|byte| byte.is_ascii_graphic());
    start.bytes().chain(rest).collect()
}

fn pieces(chance: &mut Chance) -> Bytes {
    (0..chance.below(8)).flat_map(|_| chance.pick(PIECES).bytes()).collect()
}

fn token(chance: &mut Chance) -> Bytes {
    (0..=chance.below(20)).map(|_| *chance.pick(TOKEN)).collect()
}

/// Returns bytes that a header's value may have. Most are not UTF-8.
fn noise(chance: &mut Chance, most: usize) -> Bytes {
    let byte = |chance: &mut Chance| match chance.number() as u8 {
        byte @ (b'\t' | 0x20..=0x7e | 0x80..) => byte,
        byte => byte | 0x80,
    };
    (0..chance.below(most + 1)).map(|_| byte(chance)).collect()
}

/// Returns this number of bytes of text.
fn text(chance: &mut Chance, length: usize) -> Bytes {
    let start = chance.below(26);
    (start..start + length).map(|number| b'a' + (number % 26) as u8).collect()
}
