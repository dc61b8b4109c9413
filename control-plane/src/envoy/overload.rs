//! How much an Envoy takes before it refuses: connections of all clients together, and memory
//! (Envoy's overload manager). The limits are a part of the bootstrap, so they stay the same for as
//! long as that Envoy lives.

use legation_filter::units::parse_size;
use legation_protos::{
    pack,
    pb::envoy::{
        config::overload::v3::{
            OverloadAction, OverloadManager, ResourceMonitor, ThresholdTrigger, Trigger, resource_monitor::ConfigType,
            trigger::TriggerOneof,
        },
        extensions::resource_monitors::{
            downstream_connections::v3::DownstreamConnectionsConfig, fixed_heap::v3::FixedHeapConfig,
        },
    },
};
use prost::{Message, Name};

const CONNECTIONS: &str = "envoy.resource_monitors.global_downstream_max_connections";
const HEAP: &str = "envoy.resource_monitors.fixed_heap";
/// What Envoy does as its heap fills, by the share that is full. The shares are those of Envoy's
/// "Configuring Envoy as an edge proxy".
const ACTIONS: &[(&str, f64)] =
    &[("envoy.overload_actions.shrink_heap", 0.95), ("envoy.overload_actions.stop_accepting_requests", 0.98)];

/// How much an Envoy takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Limits {
    /// The most connections of all clients together; Envoy closes further ones as they come
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(i64).range(1..))]
    pub max_connections: i64,
    /// Envoy's memory, such as 1GiB; near it Envoy answers requests with 503. The default is no
    /// limit
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub max_heap: Option<u64>,
}

/// The limits in Envoy's words.
pub fn overload_manager(limits: Limits) -> OverloadManager {
    let connections = DownstreamConnectionsConfig { max_active_downstream_connections: limits.max_connections };
    let mut manager =
        OverloadManager { resource_monitors: vec![monitor(CONNECTIONS, &connections)], ..OverloadManager::default() };
    if let Some(max_heap_size_bytes) = limits.max_heap {
        manager
            .resource_monitors
            .push(monitor(HEAP, &FixedHeapConfig { max_heap_size_bytes, ..FixedHeapConfig::default() }));
        manager.actions = ACTIONS.iter().map(|(action, share)| heap_action(action, *share)).collect();
    }
    manager
}

fn monitor<M: Message + Name>(name: &str, config: &M) -> ResourceMonitor {
    ResourceMonitor { name: name.to_owned(), config_type: Some(ConfigType::TypedConfig(pack(config))) }
}

fn heap_action(name: &str, share: f64) -> OverloadAction {
    let threshold = TriggerOneof::Threshold(ThresholdTrigger { value: share });
    let trigger = Trigger { name: HEAP.to_owned(), trigger_oneof: Some(threshold) };
    OverloadAction { name: name.to_owned(), triggers: vec![trigger], ..OverloadAction::default() }
}
