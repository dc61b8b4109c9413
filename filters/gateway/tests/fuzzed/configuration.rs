//! The filter's configuration, from any bytes.

use legation_filter::{
    compile::{check as problems_of, compile, compile_config, policy_of},
    config::Config,
    decide::decide,
    outside::{CountError, Outside, Seed, SharedState},
    policy::RoutePolicies,
    problem::Severity,
};

/// Nothing from outside: no route, no address, no counts.
struct Nowhere;

impl Outside for Nowhere {
    fn now(&mut self) -> u64 {
        1_800_000_000_000_000_000
    }

    fn route_name(&mut self) -> Option<Vec<u8>> {
        Some(b"r".to_vec())
    }

    fn route_policy(&mut self) -> Option<Vec<u8>> {
        Some(br#"{"name": "r", "api_key": {"optional": true, "anonymous_plan": "free"}, "rate_limit": [{"plan": true}]}"#.to_vec())
    }

    fn source_address(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn claim(&mut self, _path: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn seed(&mut self) -> Option<Seed> {
        None
    }
}

impl SharedState for Nowhere {
    fn get(&mut self, _key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, CountError> {
        Err(CountError::Unavailable)
    }

    fn set(&mut self, _key: &[u8], _value: &[u8], _cas: u32) -> Result<bool, CountError> {
        Err(CountError::Unavailable)
    }
}

/// They are refused with reasons that can be said, or taken; what is taken is taken again however
/// it is written, and decides.
pub fn check(bytes: &[u8]) {
    let tables = match compile(bytes) {
        Ok(tables) => tables,
        Err(problems) => {
            assert!(!problems.is_empty());
            return problems.iter().for_each(|problem| assert!(!problem.to_string().is_empty()));
        }
    };
    // What is no JSON was a Struct.
    let Ok(config) = serde_json::from_slice::<Config>(bytes) else { return };
    assert!(compile_config(&config, |_| None).is_ok());
    assert!(problems_of(&config).iter().all(|problem| problem.severity == Severity::Warning));
    let again = serde_json::to_vec(&config).unwrap();
    assert_eq!(serde_json::from_slice::<Config>(&again).unwrap(), config);
    let second = compile(&again).expect("it was taken");
    assert_eq!(
        (tables.has_limits(), tables.route_policies(), tables.rules().asks_for_route()),
        (second.has_limits(), second.route_policies(), second.rules().asks_for_route())
    );
    let headers: [(&[u8], &[u8]); 4] =
        [(b":authority", b"a.test:80"), (b":path", b"/x/y?key=k"), (b"x-api-key", b"k"), (b"cookie", b"key=k")];
    let [one, other] = [&tables, &second]
        .map(|tables| policy_of(tables, &mut RoutePolicies::default(), &headers, &mut Nowhere, |_| ()));
    assert_eq!(
        decide(one.as_deref(), &tables, &headers, &mut Nowhere),
        decide(other.as_deref(), &second, &headers, &mut Nowhere)
    );
}
