//! Counts, where shared data says anything.

use std::sync::LazyLock;

use legation_filter::{
    compile::{Tables, compile, policy_of},
    decide::{Outcome, decide},
    outside::{CountError, Outside, Seed, SharedState},
    policy::RoutePolicies,
    rate_limit::counts::prepare,
};

const SECOND: u64 = 1_000_000_000;

/// The requests that come at once, and the nanoseconds until a bucket is full, of each limit in its
/// order.
const LIMITS: [(u64, u64); 5] = [
    (3, 3 * SECOND),
    (1_000_000, 366 * 86_400 * SECOND),
    (1, SECOND),
    (7, 2 * 3_600 * SECOND),
    (5, 31 * 86_400 * SECOND),
];

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let config = br#"{
        "version": 1,
        "plans": [{"name": "free", "quota": {"limit": 5, "window": "month"}}],
        "policies": [{"name": "p", "api_key": {"optional": true, "anonymous_plan": "free"}, "rate_limit": [
            {"limit": 1, "window": "1s", "burst": 3, "by": "ip"},
            {"limit": 1000000, "window": "366d", "by": "consumer"},
            {"limit": 1, "window": "1s", "by": "route"},
            {"limit": 7, "window": "1h", "by": "jwt:sub", "algorithm": "sliding_window", "cost": 2},
            {"plan": true, "cost": 3},
            {"limit": 1, "window": "1s", "dry_run": true}
        ]}],
        "rules": [{"policy": "p"}]
    }"#;
    compile(config).unwrap()
});

/// Shared data that says what the bytes say, in the order in which it is asked.
struct Anything<'a> {
    bytes: &'a [u8],
    now: u64,
}

impl Anything<'_> {
    fn take(&mut self, count: usize) -> Vec<u8> {
        let (taken, rest) = self.bytes.split_at(count.min(self.bytes.len()));
        self.bytes = rest;
        taken.to_vec()
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }
}

impl SharedState for Anything<'_> {
    fn get(&mut self, _key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, CountError> {
        match self.byte() {
            0 => Ok(None),
            1 => Err(CountError::Unavailable),
            2 => {
                let length = usize::from(u16::from_le_bytes([self.byte(), self.byte()]));
                Ok(Some((self.take(length), 1)))
            }
            // The length that is right, with a first byte that is right: as many bytes as there
            // are, then zeros or ones.
            cas => {
                let (length, first) = *WRITTEN;
                let mut value = self.take(length);
                value.resize(length, if cas & 1 == 0 { 0 } else { 0xff });
                value[0] = first;
                Ok(Some((value, u32::from(cas))))
            }
        }
    }

    fn set(&mut self, _key: &[u8], value: &[u8], _cas: u32) -> Result<bool, CountError> {
        assert_eq!((value.len(), value[0]), *WRITTEN, "the form of a value");
        match self.byte() {
            1 => Err(CountError::Unavailable),
            byte => Ok(byte % 4 != 2),
        }
    }
}

impl Outside for Anything<'_> {
    fn now(&mut self) -> u64 {
        self.now
    }

    fn route_name(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn route_policy(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn source_address(&mut self) -> Option<Vec<u8>> {
        Some(self.take(8))
    }

    fn claim(&mut self, _path: &[u8]) -> Option<Vec<u8>> {
        Some(self.take(4))
    }

    fn seed(&mut self) -> Option<Seed> {
        Some(*SEED)
    }
}

/// The length and the first byte of a set.
static WRITTEN: LazyLock<(usize, u8)> = LazyLock::new(|| {
    struct First(Option<(usize, u8)>);
    impl SharedState for First {
        fn get(&mut self, _key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, CountError> {
            Ok(None)
        }

        fn set(&mut self, _key: &[u8], value: &[u8], _cas: u32) -> Result<bool, CountError> {
            self.0.get_or_insert((value.len(), value[0]));
            Ok(true)
        }
    }
    let mut first = First(None);
    prepare(&mut first, [0; 16]).unwrap();
    first.0.unwrap()
});

/// A seed, whatever shared data says.
static SEED: LazyLock<Seed> = LazyLock::new(|| {
    struct Nothing;
    impl SharedState for Nothing {
        fn get(&mut self, _key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, CountError> {
            Ok(None)
        }

        fn set(&mut self, _key: &[u8], _value: &[u8], _cas: u32) -> Result<bool, CountError> {
            Ok(true)
        }
    }
    prepare(&mut Nothing, [3; 16]).unwrap()
});

/// The first eight bytes are the time; what shared data says follows. A request passes or is
/// refused by its limits, and what it is told of them is within what they allow.
pub fn check(bytes: &[u8]) {
    let mut anything = Anything { bytes, now: 0 };
    anything.now = anything.take(8).iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    while !anything.bytes.is_empty() {
        let policy = policy_of(&TABLES, &mut RoutePolicies::default(), &[], &mut anything, |_| ());
        match decide(policy.as_deref(), &TABLES, &[], &mut anything).outcome {
            Outcome::Pass(on_response) => told(&on_response.fields),
            Outcome::Refuse(refusal) => match refusal.code {
                "rate_limited" => {
                    let (_, retry_after) = &refusal.headers[0];
                    let seconds: u64 = retry_after.parse().expect("a number");
                    assert!((1..=366 * 86_400).contains(&seconds), "{seconds}");
                    told(&refusal.headers[1..]);
                    let _ = refusal.reply(false);
                }
                "rate_limit_unavailable" => {}
                other => panic!("{other}"),
            },
        }
    }
}

fn told(fields: &[(&'static str, String)]) {
    let state = &fields.last().expect("limits apply").1;
    let items = state.split(", ").collect::<Vec<_>>();
    assert_eq!(items.len(), LIMITS.len());
    for (item, (burst, depth)) in items.into_iter().zip(LIMITS) {
        let number = |name: &str| item.split(name).nth(1)?.split(';').next()?.parse::<u64>().ok();
        let (remaining, full) = (number(";r=").expect("a number"), number(";t=").expect("a number"));
        assert!(remaining <= burst && full <= depth.div_ceil(SECOND), "{item}");
    }
}
