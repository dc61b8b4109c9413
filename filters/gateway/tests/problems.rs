//! What the control plane builds on: each problem has its code, a path that can be walked, and help
//! where it can be given. What a message quotes stands apart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use legation_filter::compile::{check, compile_config};
use legation_filter::config::Config;
use legation_filter::problem::{Part, Path, Problem, Severity, Step};
use serde_json::{Value, json};

const DIGEST: &str = "4e738ca5563c06cfd0018299933d58db1dd8bf97f6973dc99bf6cdc64b5550bd";

fn problems(config: &Value) -> Vec<Problem> {
    let mut config = config.clone();
    config["version"] = json!(1);
    let config: Config = serde_json::from_value(config).unwrap();
    let problems = check(&config);
    let has_errors = problems.iter().any(|problem| problem.severity == Severity::Error);
    assert_eq!(compile_config(&config, |_| None).is_err(), has_errors, "warnings alone refuse nothing");
    problems
}

/// The codes and places of all problems.
fn found(config: &Value) -> Vec<String> {
    problems(config).iter().map(|problem| format!("{} {}", problem.code, problem.at)).collect()
}

#[test]
fn each_problem_has_a_stable_code() {
    for (config, expected) in [
        (json!({"plans": [{"name": "a b"}]}), "invalid_name plans[0].name"),
        (json!({"plans": [{"name": "a"}, {"name": "a"}]}), "duplicate_name plans[1].name"),
        (
            json!({"plans": [{"name": "a", "limits": [{"limit": 0, "window": "1s"}]}]}),
            "out_of_range plans[0].limits[0].limit",
        ),
        (
            json!({"plans": [{"name": "a", "limits": [{"limit": 1, "window": "x"}]}]}),
            "bad_duration plans[0].limits[0].window",
        ),
        (
            json!({"plans": [{"name": "a", "limits": [{"limit": 1, "window": "0s"}]}]}),
            "out_of_range plans[0].limits[0].window",
        ),
        (
            json!({"plans": [{"name": "a", "quota": {"limit": 0, "window": "day"}}]}),
            "out_of_range plans[0].quota.limit",
        ),
        (json!({"consumers": [{"name": "a", "plan": "x"}]}), "unknown_plan consumers[0].plan"),
        (
            json!({"consumers": [{"name": "a", "api_keys": [{"sha256": "x"}]}]}),
            "bad_digest consumers[0].api_keys[0].sha256",
        ),
        (
            json!({"consumers": [{"name": "a", "api_keys": [{"sha256": DIGEST, "id": "a b"}]}]}),
            "invalid_name consumers[0].api_keys[0].id",
        ),
        (
            json!({"consumers": [{"name": "a", "api_keys": [{"sha256": DIGEST, "id": "k"}, {"sha256": "0".repeat(64), "id": "k"}]}]}),
            "duplicate_name consumers[0].api_keys[1].id",
        ),
        (
            json!({"consumers": [{"name": "a", "api_keys": [{"sha256": DIGEST}, {"sha256": DIGEST}]}]}),
            "duplicate_value consumers[0].api_keys[1].sha256",
        ),
        (
            json!({"consumers": [{"name": "a", "api_keys": [{"sha256": DIGEST, "expires": "soon"}]}]}),
            "invalid_value consumers[0].api_keys[0].expires",
        ),
        (json!({"consumers": [{"name": "a", "metadata": {"A": "x"}}]}), "invalid_value consumers[0].metadata.A"),
        (
            json!({"policies": [{"name": "p", "rate_limit": [{"plan": true}]}]}),
            "needs_api_key policies[0].rate_limit[0].plan",
        ),
        (
            json!({"policies": [{"name": "p", "rate_limit": [{"limit": 1}]}]}),
            "missing_field policies[0].rate_limit[0].window",
        ),
        (
            json!({"policies": [{"name": "p", "rate_limit": [{"limit": 1, "window": "1s", "burst": 1, "algorithm": "sliding_window"}]}]}),
            "conflict policies[0].rate_limit[0].burst",
        ),
        (
            json!({"policies": [{"name": "p", "rate_limit": [{"limit": 1, "window": "1s", "cost": 0}]}]}),
            "invalid_value policies[0].rate_limit[0].cost",
        ),
        (
            json!({"policies": [{"name": "p", "rate_limit": [{"limit": 1, "window": "1s", "cost": 2}]}]}),
            "out_of_range policies[0].rate_limit[0].cost",
        ),
    ] {
        assert_eq!(found(&config), [expected], "{config}");
    }
    let nobody = json!({"policies": [{"name": "p", "api_key": {"optional": true, "consumers": ["eve"]}}]});
    assert_eq!(found(&nobody), ["unknown_consumer policies[0].api_key.consumers[0]"]);
}

#[test]
fn a_path_tells_keys_from_what_they_stand_for() {
    let limits = json!([{"limit": 0, "window": "1s"}]);
    let policy = json!({"name": "p", "api_key": {"optional": true}, "rate_limit": [{"plan": true, "override": {"gold": limits}}]});
    let problems = problems(&json!({"policies": [policy]}));
    let before = || {
        vec![
            Step::Field("policies".into()),
            Step::Item(0),
            Step::Field("rate_limit".into()),
            Step::Item(0),
            Step::Field("override".into()),
        ]
    };
    let unknown = Path([before(), vec![Step::Key("gold".into())]].concat());
    let zero = Path([before(), vec![Step::Field("gold".into()), Step::Item(0), Step::Field("limit".into())]].concat());
    let at = |code: &str| problems.iter().find(|problem| problem.code == code).map(|problem| problem.at.clone());
    assert_eq!((at("unknown_plan"), at("out_of_range")), (Some(unknown), Some(zero)));
}

#[test]
fn what_may_be_secret_stands_apart_in_a_message() {
    let config = json!({"plans": [{"name": "a"}, {"name": "a", "limits": [{"limit": 1, "window": "my secret"}]}]});
    let problems = problems(&config);
    for problem in &problems {
        let hidden = problem.message.render(|_| "***".to_owned(), |place| format!("<{place}>"));
        assert!(!hidden.contains("secret") && hidden.contains("***"), "{hidden}");
        let words = problem.message.0.iter().filter(|part| matches!(part, Part::Text(_))).count();
        assert!(words > 0, "{problem:?}");
    }
    let twice = problems[0].message.render(|value| format!("[{value}]"), |place| format!("<{place}>"));
    assert_eq!(twice, "there is already a plan [a] at <plans[0].name>");
}

#[test]
fn a_digest_is_never_quoted() {
    let config = json!({"consumers": [{"name": "a", "api_keys": [{"sha256": "the key itself"}]}]});
    let problems = problems(&config);
    assert!(problems[0].message.0.iter().all(|part| !matches!(part, Part::Value(_))), "{problems:?}");
    assert_eq!(problems[0].help.as_ref().unwrap().to_string(), "`legation key hash` makes it from a key");
}

#[test]
fn who_is_admitted_by_nobody_or_limited_by_nothing_is_warned_of() {
    let with = |rule: Value| {
        json!({
            "plans": [{"name": "free"}, {"name": "pro", "limits": [{"limit": 1, "window": "1s"}]}],
            "consumers": [
                {"name": "alice", "plan": "pro", "api_keys": [{"sha256": DIGEST}]},
                {"name": "bob", "plan": "free", "api_keys": [{"sha256": "0".repeat(64)}]},
                {"name": "carol", "api_keys": [{"sha256": "1".repeat(64)}]},
                {"name": "dave"},
            ],
            "policies": [{"name": "p", "api_key": rule, "rate_limit": [{"plan": true}]}],
        })
    };
    let (plan, key) = ("without_plan policies[0].rate_limit[0].plan", "nobody_admitted policies[0].api_key");
    for (rule, expected) in [
        (json!({"plans": ["pro"]}), &[][..]),
        (json!({"plans": ["free"]}), &[plan]),
        (json!({"consumers": ["carol"]}), &[plan]),
        (json!({"consumers": ["dave"]}), &[key]),
        (json!({"consumers": ["dave"], "optional": true, "anonymous_plan": "pro"}), &[]),
        (json!({"plans": ["pro"], "optional": true}), &[plan]),
        (json!({"plans": ["pro"], "optional": true, "anonymous_plan": "free"}), &[plan]),
        (json!({}), &[plan, plan]),
    ] {
        assert_eq!(found(&with(rule.clone())), expected, "{rule}");
    }
    let said: Vec<String> = problems(&with(json!({}))).iter().map(|problem| problem.message.to_string()).collect();
    assert_eq!(
        said,
        [
            "the consumer `carol` has no plan: nothing limits it here",
            "the consumer `bob` has the plan `free`, which has no limits: nothing limits it here",
        ]
    );
}
