//! From the file to a plan of what is served: the only writer of plans.
//!
//! A file that can't be read or used changes nothing. What runs goes on, and the diagnostics say
//! why. A file that says the same as before makes no generation. A generation that a node rejects
//! is undone, see [`Rollout`].

use std::{
    mem,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use legation_protos::ResourceType;
use tokio::sync::watch;
use xxhash_rust::xxh3::Xxh3;

use super::{
    Consequence, Outcome, Proposal, Rollout,
    look::{Configuration, Look},
    relay::Heard,
    state::{Rejected, State},
};
use crate::{
    config::{Source, code},
    diagnostic::{Diagnostic, Severity},
    files::named::LoadedWhole,
    model::{Model, Secret},
    origin::Origin,
    snapshot::{Resource, Snapshot},
    status::{
        Status,
        metrics::{Metrics, ReloadResult},
    },
    translate::{self, Module},
    xds::{Plan, Rejection},
};

/// Where each node is to be. Everything that serves snapshots listens to it.
pub type Plans = watch::Sender<Plan>;

/// Reads the file again and again, and decides with [`Rollout`] what nodes are served of it.
pub struct Reloader {
    look: Look,
    module: Module,
    /// How many nodes get a candidate first, if the command says so. It outranks the file.
    canary: Option<usize>,
    state: State,
    plans: Plans,
    status: Arc<Status>,
    metrics: Arc<Metrics>,
    rollout: Rollout,
    newest: Made,
    /// What was newest before: a node may confirm it late.
    superseded: Made,
    /// When the change was noticed that led to the newest generation.
    noticed: Instant,
}

/// What a generation was made of.
#[derive(Default)]
struct Made {
    generation: u64,
    content: Vec<u8>,
    /// A hash of content and resources.
    configuration: String,
}

/// What was confirmed before the start.
struct Kept {
    /// Where it is kept.
    file: Arc<str>,
    resources: Vec<(ResourceType, Resource)>,
}

impl Reloader {
    /// Reads nothing yet.
    pub fn new(
        path: &Path,
        module: Module,
        canary: Option<usize>,
        state: State,
        plans: Plans,
        status: Arc<Status>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            look: Look::new(path),
            module,
            canary,
            state,
            plans,
            status,
            metrics,
            rollout: Rollout::default(),
            newest: Made::default(),
            superseded: Made::default(),
            noticed: Instant::now(),
        }
    }

    /// Looks at the file for the first time. What was confirmed before the start is served if the
    /// file can't be used or is known as rejected, and again if the file is rejected.
    ///
    /// # Errors
    /// The diagnostics, when there is nothing to serve.
    pub fn start(&mut self) -> Result<(), Vec<Diagnostic>> {
        let file = self.look();
        match (file, self.kept()) {
            (Some(configuration), Some(kept)) => self.start_beside(configuration, kept),
            (Some(configuration), None) => self.publish(configuration, false),
            (None, Some(kept)) => {
                let Kept { file, resources } = kept;
                self.rollout.start_from(|generation| Snapshot::new(generation, resources));
                log(&self.status.diagnostics());
                tracing::warn!("the file cannot be used; serving the last confirmed one, kept as {file}");
            }
            (None, None) => return Err(self.status.diagnostics()),
        }
        self.serve();
        Ok(())
    }

    /// Looks at the file and those that it names, and publishes what it says, if that can be used
    /// and is new. `noticed` is when a change was first seen, from which the time to the nodes is
    /// measured.
    pub fn reload(&mut self, noticed: Instant) {
        self.follow(noticed, false);
    }

    /// As [`Self::reload`], though nothing may have changed. What nodes rejected of the file is
    /// tried again.
    pub fn retry(&mut self, noticed: Instant) {
        self.look.forget();
        self.follow(noticed, true);
    }

    /// All files whose change matters: the file and those that it names.
    pub fn watched(&self) -> Vec<PathBuf> {
        self.look.watched()
    }

    /// Takes in what streams say, and does what follows from it.
    pub fn hear(&mut self, heard: impl Iterator<Item = Heard>) {
        for Heard { stream, input } in heard {
            match self.rollout.take(stream, input) {
                Some(Outcome::Confirmed { snapshot, before }) => self.confirmed(&snapshot, before.as_deref()),
                Some(Outcome::Rejected { node, rejection, consequence }) => {
                    self.rejected(&node, &rejection, consequence);
                }
                None => {}
            }
        }
        self.serve();
    }

    fn follow(&mut self, noticed: Instant, retry: bool) {
        if let Some(configuration) = self.look() {
            self.noticed = noticed;
            self.publish(configuration, retry);
            self.serve();
        }
    }

    /// The file, if it or one that it names changed, and if it can be used.
    fn look(&mut self) -> Option<Configuration> {
        match self.look.again() {
            Ok(found) => {
                let configuration = found?;
                log(&configuration.warnings);
                self.status.file_is_good(configuration.warnings.clone());
                Some(configuration)
            }
            Err(diagnostics) => {
                self.refuse(diagnostics);
                None
            }
        }
    }

    fn refuse(&mut self, diagnostics: Vec<Diagnostic>) {
        // The same reasons again are no news. At the start the command says them.
        if self.status.diagnostics() != diagnostics {
            if let Some(generation) = self.plans.borrow().generation() {
                log(&diagnostics);
                tracing::error!("the file is not used; generation {generation} goes on");
            }
            self.metrics.reload(ReloadResult::Refused);
        }
        self.status.file_is_bad(diagnostics);
    }

    /// What was confirmed before the start, if it was kept and can still be used.
    fn kept(&self) -> Option<Kept> {
        let (path, bytes) = self.state.confirmed()?;
        let file: Arc<str> = path.display().to_string().into();
        let LoadedWhole { loaded, secrets, .. } = self.look.load(&Source { file: file.clone(), bytes });
        Some(Kept { file, resources: self.resources(&loaded.model?, &secrets) })
    }

    /// Starts with a good file and what was confirmed before.
    fn start_beside(&mut self, found: Configuration, kept: Kept) {
        let resources = self.resources(&found.model, &found.secrets);
        let configuration = hash(&found.content, &resources);
        let Kept { file, resources: kept } = kept;
        let kept = Snapshot::new(1, kept);
        if kept.same_resources(&Snapshot::new(1, resources.clone())) {
            self.rollout.start_from(|generation| Snapshot::new(generation, resources));
            say_new(1, &found.model);
            self.newest = Made { generation: 1, content: found.content, configuration };
            return;
        }
        self.rollout.start_from(|_| kept);
        match self.state.rejected().filter(|rejected| rejected.configuration == configuration) {
            Some(Rejected { at: (line, column), message, .. }) => {
                let generation = self.rollout.start_rejected(|generation| Snapshot::new(generation, resources));
                let at = Origin { line, column, ..self.beginning() };
                let diagnostic = rejected_by_envoy(at, message, Some(until_the_file_changes(1)));
                tracing::error!("{diagnostic}");
                tracing::warn!("the file was rejected before; serving the last confirmed one, kept as {file}");
                self.status.rejected(Some((generation, diagnostic)));
                self.newest = Made { generation, content: found.content, configuration };
            }
            None => self.publish(found, false),
        }
    }

    fn resources(&self, model: &Model, secrets: &[Secret]) -> Vec<(ResourceType, Resource)> {
        translate::resources(model, secrets, &self.module)
    }

    /// Proposes a configuration to the rollout. With `retry`, what nodes rejected before is tried
    /// again.
    fn publish(&mut self, found: Configuration, retry: bool) {
        let Configuration { content, model, secrets, .. } = found;
        let resources = self.resources(&model, &secrets);
        let configuration = hash(&content, &resources);
        let canary = self.canary.unwrap_or(model.rollout.canary);
        let snapshot = |generation| {
            let snapshot = Snapshot::new(generation, resources);
            if retry { snapshot.retried() } else { snapshot }
        };
        match self.rollout.propose(snapshot, canary) {
            Proposal::New(snapshot) => {
                let generation = snapshot.generation();
                let newest = Made { generation, content, configuration };
                self.superseded = mem::replace(&mut self.newest, newest);
                self.forget_rejected();
                self.metrics.reload(ReloadResult::Published);
                say_new(generation, &model);
            }
            Proposal::Unchanged => {
                let generation = self.newest.generation;
                self.newest = Made { generation, content, configuration };
                self.metrics.reload(ReloadResult::Unchanged);
                tracing::info!("the file says the same as before: generation {generation} goes on");
            }
            Proposal::Reverted(generation) => {
                self.newest = Made { generation, content, configuration };
                self.forget_rejected();
                self.metrics.reload(ReloadResult::Unchanged);
                tracing::info!("the file says again what is confirmed: generation {generation} goes on");
            }
        }
    }

    /// Tells the streams where to be, if that changed.
    fn serve(&mut self) {
        let plan = self.rollout.plan();
        self.status.in_canary(self.rollout.in_canary());
        let (before, is_news) = {
            let current = self.plans.borrow();
            (current.generation(), !current.same_as(&plan))
        };
        if !is_news {
            return;
        }
        // Once for each generation: this starts the clock of how long the nodes take.
        if let Some(generation) = plan.generation().filter(|generation| before != Some(*generation)) {
            self.status.serving(generation, self.noticed);
        }
        self.plans.send_replace(plan);
    }

    fn confirmed(&self, snapshot: &Snapshot, before: Option<&Snapshot>) {
        let generation = snapshot.generation();
        tracing::info!("generation {generation} is confirmed");
        self.status.confirmed(generation);
        for listener in before.into_iter().flat_map(|before| before.drained_by(snapshot)) {
            tracing::info!("generation {generation} changes or removes listener {listener}: its old form drains");
        }
        let made = [&self.newest, &self.superseded].into_iter().find(|made| made.generation == generation);
        if let Some(made) = made {
            warn_if_lost(self.state.keep_confirmed(&made.content));
        }
        if generation == self.newest.generation {
            self.forget_rejected();
        }
    }

    /// Logs a rejection with its place in the file and what follows from it. A rejected candidate
    /// also shows in the status, and is kept for the next start.
    fn rejected(&self, node: &str, rejection: &Rejection, consequence: Consequence) {
        let Rejection { kind, generation, message, culprit } = rejection;
        let what = culprit.as_ref().map(|culprit| format!(" `{}`", culprit.name)).unwrap_or_default();
        let message = format!("node {node} rejected {}{what}: {}", kind.short(), message.trim());
        let at = culprit.as_ref().map_or_else(|| self.beginning(), |culprit| culprit.origin.clone());
        let diagnostic = rejected_by_envoy(at, message, None);
        let follows = match consequence {
            Consequence::Undone { instead: Some(instead) } => format!(
                "generation {generation} is rejected: all nodes are served generation {instead} until the file changes"
            ),
            Consequence::Undone { instead: None } => {
                format!("generation {generation} is rejected, but none was confirmed before: it stays")
            }
            Consequence::PutBack { instead: Some(instead) } => {
                format!("node {node} alone is put back from generation {generation} to {instead}")
            }
            Consequence::PutBack { instead: None } => format!(
                "node {node} has only a part of generation {generation}, and accepted none whole that it could go back to"
            ),
            Consequence::Nothing => format!("a part of generation {generation}; nothing else changes"),
        };
        tracing::error!("{diagnostic} ({follows})");
        if let Consequence::Undone { instead } = consequence {
            let rejected = Rejected {
                configuration: self.newest.configuration.clone(),
                at: (diagnostic.at.line, diagnostic.at.column),
                message: diagnostic.message.clone(),
            };
            let diagnostic = Diagnostic { help: instead.map(until_the_file_changes), ..diagnostic };
            self.status.rejected(Some((*generation, diagnostic)));
            warn_if_lost(self.state.keep_rejected(Some(&rejected)));
        }
    }

    fn forget_rejected(&self) {
        self.status.rejected(None);
        warn_if_lost(self.state.keep_rejected(None));
    }

    /// The place in the file where there is no better one.
    fn beginning(&self) -> Origin {
        Origin { file: self.look.path().display().to_string().into(), line: 1, column: 1 }
    }
}

fn rejected_by_envoy(at: Origin, message: String, help: Option<String>) -> Diagnostic {
    Diagnostic { severity: Severity::Error, code: code::REJECTED_BY_ENVOY, message, at, width: 1, help }
}

fn until_the_file_changes(instead: u64) -> String {
    format!("generation {instead} is served until the file changes")
}

/// Only the next start misses what can't be kept.
fn warn_if_lost(kept: std::io::Result<()>) {
    if let Err(error) = kept {
        tracing::warn!("cannot keep what was confirmed or rejected for a later start: {error}");
    }
}

fn say_new(generation: u64, model: &Model) {
    tracing::info!(
        "generation {generation}: listeners {}, routes {}, clusters {}",
        model.listeners.len(),
        model.routes.len(),
        model.clusters.len()
    );
}

/// A hash of a configuration: the file, and what is made of it. A build that makes something else
/// of a rejected file tries it again.
fn hash(content: &[u8], resources: &[(ResourceType, Resource)]) -> String {
    let mut hash = Xxh3::new();
    let versions = resources.iter().flat_map(|(_, resource)| [resource.name.as_bytes(), resource.version.as_bytes()]);
    for part in std::iter::once(content).chain(versions) {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    format!("{:032x}", hash.digest128())
}

fn log(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        match diagnostic.severity {
            Severity::Error => tracing::error!("{diagnostic}"),
            Severity::Warning => tracing::warn!("{diagnostic}"),
        }
    }
}
