//! The rules for consumers, plans, `api_key` and `rate_limit`. The filter's own compiler has them.
//! This room runs it natively over what the file says, and puts its problems at their places in the
//! file.
//!
//! The compiler names a place by a path in its configuration, in the words of the file. So the path
//! leads through the file's own tree, too. Only `policies` are no list in the file: each belongs to
//! a route.

use legation_filter::{
    compile,
    config::{Config, Policy},
    problem::{Message, Path, Problem, Severity, Step},
};

use super::{
    code, consumer,
    decode::FROM_ENVIRONMENT,
    file::File,
    leaf::name::help_with_name,
    node::{Node, Scalar, Span, Value},
    plan,
    report::{Report, quoted},
    route,
};

/// Reports what the filter would refuse or warn of. Returns what it was asked about: consumers
/// and plans in its own words.
pub fn check(file: &File, node: &Node, report: &mut Report) -> Config {
    let routes = || file.routes.slots().iter().enumerate().filter_map(|(place, route)| Some((place, route.as_ref()?)));
    let (of_routes, policies): (Vec<usize>, Vec<Policy>) =
        routes().filter_map(|(place, route)| Some((place, route::of_filter(route)?))).unzip();
    let config = Config {
        version: 1,
        consumers: consumer::of_filter(&file.consumers),
        plans: plan::of_filter(&file.plans),
        policies,
        ..Config::default()
    };
    let places = Places { root: node, of_routes: &of_routes };
    let problems = compile::check(&config);
    for problem in &problems {
        let place = places.find(&problem.at, report);
        let is_planned = || places.route(&problem.at, file).is_some_and(|route| route.has_planned);
        // A field that is not supported yet may be another way to know the caller.
        let may_know = problem.code == code::NEEDS_API_KEY && is_planned();
        if !place.is_reported && !may_know && !is_unsure(problem, &problems) {
            show(problem, &place, &places, &config, report);
        }
    }
    config
}

/// Whether it is a warning about a part in which there is an error, too. The warning may be wrong
/// then.
fn is_unsure(problem: &Problem, all: &[Problem]) -> bool {
    let is_inside = |other: &Problem| other.severity == Severity::Error && other.at.0.starts_with(&problem.at.0);
    problem.severity == Severity::Warning && all.iter().any(is_inside)
}

fn show(problem: &Problem, place: &Place, places: &Places<'_>, config: &Config, report: &mut Report) {
    let value = |value: &str| match &place.text {
        _ if place.from_environment => FROM_ENVIRONMENT.to_owned(),
        // The filter may have it in lower case.
        Some(text) if text.eq_ignore_ascii_case(value) => quoted(text),
        _ => quoted(value),
    };
    let words = |message: &Message, report: &Report| {
        message.render(value, |path| report.origin(places.find(path, report).span).to_string())
    };
    let message = words(&problem.message, report);
    let help = match (&problem.help, place.text.as_deref()) {
        (Some(help), _) => Some(words(help, report)),
        (None, Some(name)) if problem.code == code::UNKNOWN_PLAN => {
            help_with_name("plan", name, config.plans.iter().map(|plan| plan.name.as_str()), report)
        }
        (None, Some(name)) if problem.code == code::UNKNOWN_CONSUMER => {
            let names = config.consumers.iter().map(|consumer| consumer.name.as_str());
            help_with_name("consumer", name, names, report)
        }
        (None, _) => None,
    };
    match problem.severity {
        Severity::Error => report.error_with_help(problem.code, place.span, message, help),
        Severity::Warning => report.warning(problem.code, place.span, message, help),
    }
}

/// The file's tree, and the places of the routes that have a policy.
struct Places<'a> {
    root: &'a Node,
    of_routes: &'a [usize],
}

/// Where a path leads.
struct Place {
    /// The value or key. If it is not written, the nearest mapping around it.
    span: Span,
    /// Whether decoding has reported it, or something around it.
    is_reported: bool,
    /// Whether it may be secret.
    from_environment: bool,
    /// Its text, if that may be shown.
    text: Option<String>,
}

impl Places<'_> {
    fn find(&self, path: &Path, report: &Report) -> Place {
        let mut node = self.root;
        let mut is_reported = false;
        let mut is_policy = false;
        for (depth, step) in path.0.iter().enumerate() {
            let next = match step {
                // Further down, it is the name that a person gave to a plan.
                Step::Field(name) if depth == 0 && name == "policies" => {
                    is_policy = true;
                    child(node, "routes")
                }
                Step::Field(name) => child(node, name),
                Step::Item(item) if is_policy => {
                    is_policy = false;
                    self.of_routes.get(*item).and_then(|place| item_of(node, *place))
                }
                Step::Item(item) => item_of(node, *item),
                Step::Key(key) => {
                    let span = entry(node, key).map_or(node.span, |(span, _)| span);
                    is_reported |= report.is_wrong(span);
                    return Place { span, is_reported, from_environment: false, text: Some(key.clone()) };
                }
            };
            let Some(next) = next else {
                is_reported |= report.is_lacking(node.span);
                return Place { span: node.span, is_reported, from_environment: false, text: None };
            };
            node = next;
            is_reported |= report.is_wrong(node.span);
        }
        let (from_environment, text) = match &node.value {
            Value::Scalar(Scalar { from_environment: true, .. }) => (true, None),
            Value::Scalar(scalar) => (false, Some(scalar.text.clone())),
            _ => (false, None),
        };
        Place { span: node.span, is_reported, from_environment, text }
    }

    /// The route that a path of `policies` begins with.
    fn route<'f>(&self, path: &Path, file: &'f File) -> Option<&'f route::Route> {
        let [Step::Field(list), Step::Item(item), ..] = path.0.as_slice() else { return None };
        let place = self.of_routes.get(*item).filter(|_| list == "policies")?;
        file.routes.slots().get(*place)?.as_ref().map(|route| &route.value)
    }
}

fn entry<'a>(node: &'a Node, key: &str) -> Option<(Span, &'a Node)> {
    let Value::Mapping(entries) = &node.value else { return None };
    entries.iter().find(|entry| entry.key == key).map(|entry| (entry.key_span, &entry.node))
}

fn child<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    entry(node, key).map(|(_, node)| node)
}

/// An item of a list. One thing that stands where a list may is its only item.
fn item_of(node: &Node, item: usize) -> Option<&Node> {
    match &node.value {
        Value::List(items) => items.get(item),
        _ => Some(node).filter(|_| item == 0),
    }
}
