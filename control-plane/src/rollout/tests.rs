use proptest::prelude::*;

use legation_protos::ResourceType;

use super::*;
use crate::{origin::Origin, snapshot::Resource};

const LISTENER: ResourceType = ResourceType::Listener;

/// A listener, written `name@version`.
fn listener(text: &str) -> Arc<Resource> {
    let (name, version) = text.split_once('@').unwrap();
    let origin = Origin { file: "gateway.yaml".into(), line: 1, column: 1 };
    Arc::new(Resource {
        name: name.into(),
        version: version.into(),
        body: text.to_owned().into(),
        origin,
        service_name: None,
    })
}

/// A snapshot of listeners.
fn snapshot(text: &str) -> impl FnOnce(u64) -> Snapshot {
    let listeners: Vec<_> = text.split_whitespace().map(|text| (LISTENER, (*listener(text)).clone())).collect();
    move |generation| Snapshot::new(generation, listeners)
}

/// A rollout, and what it was seen to do.
#[derive(Default)]
struct Fleet {
    rollout: Rollout,
    outcomes: Vec<Outcome>,
}

impl Fleet {
    /// Nodes a, b, c …, each with one stream, on a confirmed generation 1 of listener `l@1`.
    fn of(nodes: usize) -> Self {
        let mut fleet = Self::default();
        fleet.proposes("l@1", 0);
        for node in ["a", "b", "c", "d"].into_iter().take(nodes) {
            fleet.opens(node);
            fleet.confirms(node, 1);
        }
        fleet.outcomes.clear();
        fleet
    }

    fn proposes(&mut self, text: &str, canary: usize) -> Proposal {
        self.rollout.propose(snapshot(text), canary)
    }

    /// The first stream of a node is numbered by its letter.
    fn stream(node: &str) -> StreamId {
        StreamId(node.bytes().next().unwrap().into())
    }

    fn tell(&mut self, stream: StreamId, input: Input) {
        self.outcomes.extend(self.rollout.take(stream, input));
    }

    fn opens(&mut self, node: &str) {
        self.tell(Self::stream(node), Input::Opened { node: node.into() });
    }

    fn closes(&mut self, node: &str) {
        self.tell(Self::stream(node), Input::Closed);
    }

    fn confirms(&mut self, node: &str, generation: u64) {
        self.tell(Self::stream(node), Input::Confirmed { generation });
    }

    fn nacks(&mut self, node: &str, generation: u64, culprit: &str) {
        let culprit = (!culprit.is_empty()).then(|| listener(culprit));
        self.tell(Self::stream(node), nacked(generation, culprit));
    }

    /// The generations of nodes, as the plan has it.
    fn at<const N: usize>(&self, nodes: [&str; N]) -> [u64; N] {
        let plan = self.rollout.plan();
        nodes.map(|node| plan.target(node).map_or(0, |snapshot| snapshot.generation()))
    }

    /// What was seen since the last call: `confirmed 2`, `2 undone by b, instead 1`, `b put back
    /// from 2 to 1`. Rejections without a consequence are left out.
    fn outcomes(&mut self) -> Vec<String> {
        self.outcomes.drain(..).filter_map(|outcome| shown(&outcome)).collect()
    }
}

fn nacked(generation: u64, culprit: Option<Arc<Resource>>) -> Input {
    Input::Nacked(Arc::new(Rejection { kind: LISTENER, generation, message: "no".to_owned(), culprit }))
}

fn shown(outcome: &Outcome) -> Option<String> {
    let number = |generation: Option<u64>| generation.map_or("none".to_owned(), |it| it.to_string());
    match outcome {
        Outcome::Confirmed { snapshot, .. } => Some(format!("confirmed {}", snapshot.generation())),
        Outcome::Rejected { node, rejection, consequence } => {
            let generation = rejection.generation;
            match *consequence {
                Consequence::Undone { instead } => {
                    Some(format!("{generation} undone by {node}, instead {}", number(instead)))
                }
                Consequence::PutBack { instead } => {
                    Some(format!("{node} put back from {generation} to {}", number(instead)))
                }
                Consequence::Nothing => None,
            }
        }
    }
}

#[test]
fn a_candidate_goes_to_all_at_once_and_the_first_node_that_has_it_confirms_it() {
    let mut fleet = Fleet::of(2);
    fleet.proposes("l@2", 0);
    assert_eq!(fleet.at(["a", "b", "new"]), [2, 2, 2]);
    fleet.confirms("a", 2);
    fleet.confirms("b", 2);
    assert_eq!(fleet.outcomes(), ["confirmed 2"]);
}

#[test]
fn a_rejected_candidate_is_undone_for_old_and_new_nodes_until_the_file_changes() {
    let mut fleet = Fleet::of(2);
    fleet.proposes("l@1 bad@2", 0);
    fleet.nacks("b", 2, "bad@2");
    assert_eq!(fleet.outcomes(), ["2 undone by b, instead 1"]);
    assert_eq!((fleet.at(["a", "b", "new"]), fleet.rollout.rejected()), ([1, 1, 1], Some(2)));
    // Late word of it changes nothing.
    fleet.confirms("a", 2);
    fleet.nacks("b", 2, "bad@2");
    assert_eq!((fleet.outcomes(), fleet.at(["a", "b", "new"])), (vec![], [1, 1, 1]));
    fleet.proposes("l@3", 0);
    assert_eq!((fleet.at(["a", "b"]), fleet.rollout.rejected()), ([3, 3], None));
}

#[test]
fn a_rejected_configuration_is_tried_again_and_going_back_from_it_is_no_generation() {
    let mut fleet = Fleet::of(1);
    for generation in [2, 3] {
        assert!(matches!(fleet.proposes("bad@2", 0), Proposal::New(_)));
        assert_eq!(fleet.at(["a"]), [generation]);
        fleet.nacks("a", generation, "bad@2");
        assert_eq!(fleet.at(["a"]), [1]);
    }
    assert!(matches!(fleet.proposes("l@1", 0), Proposal::Reverted(1)));
    assert_eq!((fleet.at(["a"]), fleet.rollout.rejected()), ([1], None));
    assert!(matches!(fleet.proposes("l@1", 0), Proposal::Unchanged));
}

#[test]
fn with_nothing_confirmed_what_is_rejected_stays_and_may_still_be_confirmed_by_another_node() {
    let mut fleet = Fleet::of(0);
    fleet.opens("a");
    fleet.opens("b");
    fleet.nacks("a", 1, "l@1");
    assert_eq!(fleet.outcomes(), ["1 undone by a, instead none"]);
    assert_eq!(fleet.at(["a", "b"]), [1, 1]);
    fleet.confirms("b", 1);
    assert_eq!((fleet.outcomes(), fleet.rollout.rejected()), (vec!["confirmed 1".to_owned()], None));
}

#[test]
fn after_a_confirmation_only_the_node_that_rejects_goes_back_and_a_later_candidate_goes_to_it_too() {
    let mut fleet = Fleet::of(2);
    fleet.proposes("l@2", 0);
    fleet.confirms("a", 2);
    fleet.nacks("b", 2, "l@2");
    assert_eq!(fleet.outcomes(), ["confirmed 2", "b put back from 2 to 1"]);
    assert_eq!(fleet.at(["a", "b", "new"]), [2, 1, 2]);
    fleet.proposes("l@3", 0);
    assert_eq!(fleet.at(["a", "b"]), [3, 3]);
}

#[test]
fn what_a_node_alone_rejected_is_tried_again_where_that_is_asked_for() {
    let mut fleet = Fleet::of(2);
    fleet.proposes("l@2", 0);
    fleet.confirms("b", 2);
    fleet.nacks("a", 2, "l@2");
    assert!(matches!(fleet.proposes("l@2", 0), Proposal::Unchanged));
    assert_eq!(fleet.at(["a", "b"]), [1, 2]);
    fleet.rollout.propose(|generation| snapshot("l@2")(generation).retried(), 0);
    assert_eq!(fleet.at(["a", "b"]), [3, 3]);
}

#[test]
fn a_file_that_says_the_same_elsewhere_is_the_same_generation_at_its_new_places() {
    let mut fleet = Fleet::of(1);
    let moved = |generation| {
        let mut resource = Arc::unwrap_or_clone(listener("l@1"));
        resource.origin.line = 7;
        Snapshot::new(generation, [(ResourceType::Listener, resource)])
    };
    let before = fleet.rollout.plan();
    assert!(matches!(fleet.rollout.propose(moved, 0), Proposal::Unchanged));
    let plan = fleet.rollout.plan();
    assert!(!plan.same_as(&before) && plan.generation() == before.generation());
    let target = plan.target("a").unwrap();
    assert_eq!(target.resources(ResourceType::Listener).values().next().unwrap().origin.line, 7);
}

#[test]
fn a_node_that_was_put_back_is_so_again_when_it_comes_back() {
    let mut fleet = Fleet::of(2);
    fleet.proposes("l@2", 0);
    fleet.confirms("a", 2);
    fleet.nacks("b", 2, "l@2");
    fleet.closes("b");
    assert_eq!(fleet.at(["b"]), [1]);
    fleet.opens("b");
    assert_eq!(fleet.at(["b"]), [1]);
}

#[test]
fn a_new_node_that_rejects_what_is_confirmed_has_nothing_to_go_back_to() {
    let mut fleet = Fleet::of(1);
    fleet.opens("b");
    fleet.nacks("b", 1, "l@1");
    assert_eq!(fleet.outcomes(), ["b put back from 1 to none"]);
    assert_eq!(fleet.at(["a", "b"]), [1, 1]);
}

#[test]
fn a_node_that_rejects_in_a_candidate_what_others_have_confirmed_undoes_it_for_nobody_else() {
    let mut fleet = Fleet::of(2);
    fleet.proposes("l@1 port@2", 0);
    fleet.confirms("a", 2);
    fleet.nacks("b", 2, "port@2");
    fleet.proposes("l@3 port@2", 0);
    fleet.outcomes();
    fleet.nacks("b", 3, "port@2");
    assert_eq!(fleet.outcomes(), ["b put back from 3 to 1"]);
    assert_eq!(fleet.at(["a", "b"]), [3, 1]);
    // But what is new in it does.
    fleet.nacks("b", 3, "l@3");
    assert_eq!(fleet.outcomes(), ["3 undone by b, instead 2"]);
    assert_eq!(fleet.at(["a", "b"]), [2, 1]);
}

#[test]
fn nobody_goes_back_to_what_was_rejected() {
    let mut fleet = Fleet::of(3);
    fleet.proposes("l@2", 2);
    fleet.confirms("a", 2);
    fleet.nacks("b", 2, "");
    fleet.nacks("a", 1, "l@1");
    assert_eq!(fleet.at(["a", "b", "c"]), [1, 1, 1]);
}

#[test]
fn a_candidate_goes_to_the_canaries_first_and_to_all_once_each_of_them_has_it() {
    let mut fleet = Fleet::of(4);
    fleet.proposes("l@2", 2);
    assert_eq!((fleet.at(["a", "b", "c", "d", "new"]), fleet.rollout.in_canary()), ([2, 2, 1, 1, 1], Some(2)));
    fleet.confirms("a", 2);
    assert_eq!((fleet.outcomes(), fleet.at(["a", "b", "c"])), (vec![], [2, 2, 1]));
    fleet.confirms("b", 2);
    assert_eq!(fleet.outcomes(), ["confirmed 2"]);
    assert_eq!((fleet.at(["a", "b", "c", "d", "new"]), fleet.rollout.in_canary()), ([2; 5], None));
}

#[test]
fn a_candidate_that_a_canary_rejects_never_reaches_the_others() {
    let mut fleet = Fleet::of(3);
    fleet.proposes("l@2", 1);
    assert_eq!(fleet.at(["a", "b", "c"]), [2, 1, 1]);
    fleet.nacks("a", 2, "l@2");
    assert_eq!(fleet.outcomes(), ["2 undone by a, instead 1"]);
    assert_eq!(fleet.at(["a", "b", "c"]), [1, 1, 1]);
}

#[test]
fn a_canary_that_leaves_is_replaced_and_one_that_joins_takes_nobodys_place() {
    let mut fleet = Fleet::of(0);
    fleet.opens("b");
    fleet.confirms("b", 1);
    fleet.opens("c");
    fleet.proposes("l@2", 1);
    fleet.opens("a");
    assert_eq!(fleet.at(["a", "b", "c"]), [1, 2, 1]);
    fleet.closes("b");
    assert_eq!(fleet.at(["a", "b", "c"]), [2, 1, 1]);
}

#[test]
fn fewer_nodes_than_canaries_are_all_canaries_and_those_that_are_there_decide() {
    let mut fleet = Fleet::of(2);
    fleet.proposes("l@2", 3);
    assert_eq!(fleet.at(["a", "b", "new"]), [2, 2, 1]);
    fleet.confirms("a", 2);
    assert!(fleet.outcomes().is_empty());
    fleet.closes("b");
    assert_eq!(fleet.outcomes(), ["confirmed 2"]);
}

#[test]
fn with_no_node_connected_the_first_to_join_is_the_canary() {
    let mut fleet = Fleet::of(1);
    fleet.closes("a");
    fleet.proposes("l@2", 1);
    fleet.opens("c");
    fleet.opens("b");
    assert_eq!(fleet.at(["b", "c"]), [1, 2]);
}

#[test]
fn a_canary_with_a_trouble_of_its_own_is_put_back_and_replaced() {
    let mut fleet = Fleet::of(2);
    fleet.proposes("l@1 port@2", 0);
    fleet.confirms("b", 2);
    fleet.nacks("a", 2, "port@2");
    fleet.proposes("l@3 port@2", 1);
    assert_eq!(fleet.at(["a", "b"]), [3, 2]);
    fleet.nacks("a", 3, "port@2");
    assert_eq!(fleet.at(["a", "b"]), [1, 3]);
    fleet.confirms("b", 3);
    assert_eq!(fleet.outcomes().last(), Some(&"confirmed 3".to_owned()));
}

#[test]
fn a_node_with_several_streams_has_a_generation_when_all_of_them_have_and_one_nack_puts_all_back() {
    let mut fleet = Fleet::of(1);
    let second = StreamId(1);
    fleet.tell(second, Input::Opened { node: "a".into() });
    fleet.proposes("l@2", 0);
    fleet.confirms("a", 2);
    assert!(fleet.outcomes().is_empty());
    fleet.tell(second, Input::Confirmed { generation: 2 });
    assert_eq!(fleet.outcomes(), ["confirmed 2"]);
    fleet.tell(second, nacked(2, Some(listener("l@2"))));
    assert_eq!(fleet.outcomes(), ["a put back from 2 to none"]);
    assert_eq!(fleet.rollout.nodes["a"].generation(), None, "what one stream lacks, the node lacks");
}

#[test]
fn word_that_a_superseded_candidate_is_confirmed_counts() {
    let mut fleet = Fleet::of(1);
    fleet.proposes("l@2", 0);
    fleet.proposes("l@3", 0);
    fleet.confirms("a", 2);
    fleet.nacks("a", 3, "l@3");
    assert_eq!(fleet.outcomes(), ["confirmed 2", "3 undone by a, instead 2"]);
}

#[test]
fn what_was_confirmed_before_the_start_is_what_a_rejected_file_falls_back_to() {
    let mut fleet = Fleet::default();
    fleet.rollout.start_from(snapshot("l@1"));
    fleet.proposes("l@2", 0);
    fleet.opens("a");
    assert_eq!(fleet.at(["a"]), [2]);
    fleet.nacks("a", 2, "l@2");
    assert_eq!(fleet.at(["a"]), [1]);
    fleet.confirms("a", 1);
    assert_eq!(fleet.outcomes(), ["2 undone by a, instead 1", "confirmed 1"]);
}

#[test]
fn what_was_rejected_before_the_start_is_not_served() {
    let mut fleet = Fleet::default();
    fleet.rollout.start_from(snapshot("l@1"));
    assert_eq!(fleet.rollout.start_rejected(snapshot("l@2")), 2);
    assert_eq!((fleet.at(["a"]), fleet.rollout.rejected()), ([1], Some(2)));
}

#[test]
fn nodes_that_are_gone_are_forgotten() {
    let mut fleet = Fleet::of(3);
    fleet.proposes("l@2", 0);
    fleet.confirms("a", 2);
    fleet.nacks("b", 2, "");
    for node in ["a", "b", "c"] {
        fleet.closes(node);
    }
    assert_eq!(fleet.rollout.nodes.len(), 1);
    fleet.proposes("l@3", 0);
    fleet.opens("a");
    fleet.confirms("a", 3);
    fleet.closes("a");
    assert!(fleet.rollout.nodes.is_empty() && fleet.rollout.streams.is_empty() && fleet.rollout.troubled.is_empty());
}

/// Something that happens, to one of four nodes.
#[derive(Clone, Debug)]
enum Step {
    Propose(u8, usize),
    Toggle(u8),
    /// It accepts the whole of where it is, or some generations before.
    Confirm(u8, u64),
    Nack(u8, u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..4_u8, 0..3_usize).prop_map(|(version, canary)| Step::Propose(version, canary)),
        3 => (0..4_u8).prop_map(Step::Toggle),
        4 => (0..4_u8, 0..2_u64).prop_map(|(node, back)| Step::Confirm(node, back)),
        2 => (0..4_u8, 0..2_u64).prop_map(|(node, back)| Step::Nack(node, back)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_rejected_generation_is_served_beside_a_confirmed_one(
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let nodes = ["a", "b", "c", "d"];
        let mut fleet = Fleet::default();
        let mut open = [false; 4];
        let (mut confirmed, mut undone) = (BTreeSet::new(), BTreeSet::new());
        for step in steps {
            match step {
                Step::Propose(version, canary) => {
                    fleet.proposes(&format!("l@{version} same@0"), canary);
                }
                Step::Toggle(node) => {
                    let node = usize::from(node);
                    if open[node] { fleet.closes(nodes[node]) } else { fleet.opens(nodes[node]) }
                    open[node] = !open[node];
                }
                Step::Confirm(node, back) | Step::Nack(node, back) if open[usize::from(node)] => {
                    let node = nodes[usize::from(node)];
                    let generation = fleet.at([node])[0].saturating_sub(back);
                    match step {
                        Step::Confirm(..) => fleet.confirms(node, generation),
                        _ => fleet.nacks(node, generation, if back == 0 { "l@9" } else { "same@0" }),
                    }
                }
                Step::Confirm(..) | Step::Nack(..) => {}
            }
            for outcome in std::mem::take(&mut fleet.outcomes) {
                match outcome {
                    Outcome::Confirmed { snapshot, before } => {
                        let generation = snapshot.generation();
                        prop_assert_eq!(before.map(|it| it.generation()), confirmed.last().copied());
                        prop_assert!(!undone.contains(&generation), "{generation} was undone");
                        confirmed.insert(generation);
                    }
                    Outcome::Rejected { rejection, consequence: Consequence::Undone { instead }, .. } => {
                        let generation = rejection.generation;
                        prop_assert!(!confirmed.contains(&generation), "{generation} was confirmed");
                        prop_assert_eq!(instead, confirmed.last().copied());
                        if instead.is_some() {
                            undone.insert(generation);
                        }
                    }
                    Outcome::Rejected { rejection, consequence: Consequence::PutBack { instead }, .. } => {
                        prop_assert!(instead != Some(rejection.generation));
                    }
                    Outcome::Rejected { consequence: Consequence::Nothing, .. } => {}
                }
            }
            let at = fleet.at(nodes);
            prop_assert!(at.iter().all(|generation| !undone.contains(generation)), "{at:?}, undone: {undone:?}");
            if let Some(candidate) = fleet.rollout.in_canary() {
                // One that has accepted the candidate and can't take what is confirmed keeps it.
                let accepted = |id: &str| fleet.rollout.nodes.get(id).and_then(|node| node.whole.as_ref());
                for (id, generation) in nodes.into_iter().zip(at) {
                    let may_be_ahead = fleet.rollout.canaries.contains(id)
                        || accepted(id).is_some_and(|whole| whole.generation() == candidate);
                    prop_assert!(generation != candidate || may_be_ahead, "{id} at {generation}");
                }
                let connected = open.iter().filter(|open| **open).count();
                prop_assert!(fleet.rollout.canaries.len() <= connected);
                prop_assert!(fleet.rollout.plan().generation() != Some(candidate));
                prop_assert!(fleet.rollout.canaries.iter().all(|id| open[nodes.iter().position(|it| *it == &**id).unwrap()]));
            }
        }
    }
}
