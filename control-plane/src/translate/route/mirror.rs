//! `mirror`: copies of requests for another cluster.

use legation_protos::pb::envoy::{
    config::{core::v3::RuntimeFractionalPercent, route::v3::route_action::RequestMirrorPolicy},
    r#type::v3::{FractionalPercent, fractional_percent::DenominatorType},
};

use super::{Draft, Word};
use crate::model::route::mirror::Meaning;

pub(super) enum Feature {}

impl Word for Feature {
    type Meaning = Meaning;

    fn apply(mirror: &Meaning, draft: &mut Draft<'_>) {
        if let (Some(mirror), Some(forward)) = (mirror, &mut draft.forward) {
            forward.request_mirror_policies.push(RequestMirrorPolicy {
                cluster: mirror.cluster.clone(),
                runtime_fraction: Some(RuntimeFractionalPercent {
                    default_value: Some(FractionalPercent {
                        numerator: mirror.percent.millionths(),
                        denominator: DenominatorType::Million.into(),
                    }),
                    ..RuntimeFractionalPercent::default()
                }),
                // Envoy would add `-shadow` to the copies' host, which no server expects.
                disable_shadow_host_suffix_append: true,
                ..RequestMirrorPolicy::default()
            });
        }
    }
}
