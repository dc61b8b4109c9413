//! From the file to a plan of what is served, or not at all: the only writer of plans.
//!
//! A file that can't be read or used changes nothing: what runs goes on, and the diagnostics say why. A file that says the
//! same as before makes no generation. One that a node rejects is undone, see [`Rollout`].

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use legation_protos::ResourceType;
use tokio::sync::watch;
use xxhash_rust::xxh3::Xxh3;

use super::{
    Input, Outcome, Proposal, Rollout,
    relay::Heard,
    state::{Rejected, State},
};
use crate::{
    config::{Loaded, Source, code},
    diagnostic::{Diagnostic, Severity},
    files::{
        gateway_file,
        named::{self, LoadedWhole, NamedFiles},
    },
    model::{Model, Secret},
    origin::Origin,
    snapshot::{Resource, Snapshot},
    status::{
        Status,
        metrics::{Metrics, ReloadResult},
    },
    translate::{self, Module},
    xds::Plan,
};

/// Where each node is to be; everything that serves snapshots listens to it.
pub type Plans = watch::Sender<Plan>;

/// Reads the file again and again, and decides with [`Rollout`] what is served of it.
pub struct Reloader {
    path: PathBuf,
    module: Module,
    /// How many nodes get a candidate first, if the command says so; it outranks the file.
    canary: Option<usize>,
    state: State,
    plans: Plans,
    status: Arc<Status>,
    metrics: Arc<Metrics>,
    rollout: Rollout,
    /// The content of the file at the last look, good or bad; `None` when it could not be read.
    seen: Option<Vec<u8>>,
    /// The files that it named when it last said which, as they were then.
    files: NamedFiles,
    newest: Newest,
    /// What was last seen to be confirmed.
    confirmed: Option<Arc<Snapshot>>,
    /// When the change was noticed that led to it.
    noticed: Instant,
    /// What was newest before: word that nodes have it may come late.
    superseded: Newest,
}

/// A file that can be used: what it says and what it means.
struct Configuration {
    content: Vec<u8>,
    model: Model,
    secrets: Vec<Secret>,
}

/// What the newest generation was made of.
#[derive(Default)]
struct Newest {
    generation: u64,
    content: Vec<u8>,
    configuration: String,
}

/// What was confirmed before the start.
struct Kept {
    /// Where it is kept.
    file: Arc<str>,
    resources: Vec<(ResourceType, Resource)>,
}

impl Reloader {
    /// Nothing is read yet.
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
            path: path.to_owned(),
            module,
            canary,
            state,
            plans,
            status,
            metrics,
            rollout: Rollout::default(),
            seen: None,
            files: NamedFiles::default(),
            newest: Newest::default(),
            confirmed: None,
            noticed: Instant::now(),
            superseded: Newest::default(),
        }
    }

    /// The first look. What was confirmed before the start is what a rejected file falls back to, and is served if the file
    /// can't be used or is known as rejected.
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

    /// Looks at the file, and those that it names, and publishes what it says, if it can be used and says something new.
    /// `noticed` is when a change was seen first: nodes should have it soon after.
    pub fn reload(&mut self, noticed: Instant) {
        if let Some(configuration) = self.look() {
            self.noticed = noticed;
            self.publish(configuration, false);
            self.serve();
        }
    }

    /// As [`Self::reload`], though nothing may have changed: what nodes rejected of the file is tried again.
    pub fn retry(&mut self, noticed: Instant) {
        self.seen = None;
        if let Some(configuration) = self.look() {
            self.noticed = noticed;
            self.publish(configuration, true);
            self.serve();
        }
    }

    /// Takes in what streams say, and does what follows from it.
    pub fn hear(&mut self, heard: impl Iterator<Item = Heard>) {
        heard.for_each(|heard| self.take(heard));
        self.serve();
    }

    fn take(&mut self, heard: Heard) {
        let Heard { stream, input, message } = heard;
        let nacked = match &input {
            Input::Nacked { kind, culprit, .. } => Some((*kind, culprit.clone())),
            _ => None,
        };
        match self.rollout.take(stream, input) {
            None => {}
            Some(Outcome::Confirmed(generation)) => {
                tracing::info!("generation {generation} is confirmed");
                self.status.confirmed(generation);
                self.say_drained(generation);
                let known = [&self.newest, &self.superseded].into_iter().find(|it| it.generation == generation);
                if let Some(confirmed) = known {
                    self.keep(self.state.keep_confirmed(&confirmed.content));
                }
                if generation == self.newest.generation {
                    self.forget_rejected();
                }
            }
            Some(Outcome::Rejected { generation, node, instead }) => {
                let (kind, culprit) = nacked.unzip();
                self.rejected(generation, &node, kind, culprit.flatten().as_deref(), &message, instead);
            }
            Some(Outcome::PutBack { node, generation, instead: Some(instead) }) => {
                tracing::warn!("node {node} alone is put back from generation {generation} to {instead}");
            }
            Some(Outcome::PutBack { node, generation, instead: None }) => {
                tracing::warn!(
                    "node {node} has only a part of generation {generation}, and accepted none whole that it could go back to"
                );
            }
        }
    }

    /// The file, if it or one that it names changed, and it can be used.
    fn look(&mut self) -> Option<Configuration> {
        let source = match gateway_file::read(&self.path) {
            Ok(source) => source,
            Err(diagnostic) => {
                self.seen = None;
                self.refuse(vec![*diagnostic]);
                return None;
            }
        };
        if self.seen.as_ref() == Some(&source.bytes) && self.files.are_unchanged() {
            return None;
        }
        let LoadedWhole { loaded: Loaded { model, diagnostics }, secrets, files } = self.load(&source);
        // A file that can't be read as one names none; those of the last one are still looked at.
        self.files = files.unwrap_or_else(|| self.files.now());
        self.seen = Some(source.bytes.clone());
        let Some(model) = model else {
            self.refuse(diagnostics);
            return None;
        };
        log(&diagnostics);
        self.status.file_is_good(diagnostics);
        Some(Configuration { content: source.bytes, model, secrets })
    }

    /// All files whose change matters: the file and those that it names.
    pub fn watched(&self) -> Vec<PathBuf> {
        std::iter::once(self.path.clone()).chain(self.files.paths()).collect()
    }

    /// Paths are relative to the folder of the file, also in one that was kept elsewhere.
    fn load(&self, source: &Source) -> LoadedWhole {
        named::load(source, &named::folder_of(&self.path))
    }

    fn refuse(&mut self, diagnostics: Vec<Diagnostic>) {
        // The same reasons again are not news, and at the start whoever started us says them.
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
        let LoadedWhole { loaded, secrets, .. } = self.load(&Source { file: file.clone(), bytes });
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
            self.say_new(1, &found.model);
            self.newest = Newest { generation: 1, content: found.content, configuration };
            return;
        }
        self.rollout.start_from(|_| kept);
        match self.state.rejected().filter(|rejected| rejected.configuration == configuration) {
            Some(Rejected { at: (line, column), message, .. }) => {
                let generation = self.rollout.start_rejected(|generation| Snapshot::new(generation, resources));
                let at = Origin { line, column, ..self.beginning() };
                let diagnostic = rejection(at, message, Some(1));
                tracing::error!("{diagnostic}");
                tracing::warn!("the file was rejected before; serving the last confirmed one, kept as {file}");
                self.status.rejected(Some((generation, diagnostic)));
                self.newest = Newest { generation, content: found.content, configuration };
            }
            None => self.publish(found, false),
        }
    }

    fn resources(&self, model: &Model, secrets: &[Secret]) -> Vec<(ResourceType, Resource)> {
        translate::resources(model, secrets, &self.module)
    }

    /// With `retry`, what nodes rejected before is tried again.
    fn publish(&mut self, found: Configuration, retry: bool) {
        let Configuration { content, model, secrets } = found;
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
                let newest = Newest { generation, content, configuration };
                self.superseded = std::mem::replace(&mut self.newest, newest);
                self.forget_rejected();
                self.metrics.reload(ReloadResult::Published);
                self.say_new(generation, &model);
            }
            Proposal::Unchanged => {
                let generation = self.newest.generation;
                self.newest = Newest { generation, content, configuration };
                self.metrics.reload(ReloadResult::Unchanged);
                tracing::info!("the file says the same as before: generation {generation} goes on");
            }
            Proposal::Reverted(generation) => {
                self.newest = Newest { generation, content, configuration };
                self.forget_rejected();
                self.metrics.reload(ReloadResult::Unchanged);
                tracing::info!("the file says again what is confirmed: generation {generation} goes on");
            }
        }
    }

    fn say_new(&self, generation: u64, model: &Model) {
        tracing::info!(
            "generation {generation}: listeners {}, routes {}, clusters {}",
            model.listeners.len(),
            model.routes.len(),
            model.clusters.len()
        );
    }

    /// Says which listeners nodes drain for it.
    fn say_drained(&mut self, generation: u64) {
        let confirmed = self.plans.borrow().snapshot().filter(|it| it.generation() == generation).cloned();
        let Some(confirmed) = confirmed else { return };
        if let Some(before) = &self.confirmed {
            for listener in before.drained_by(&confirmed) {
                tracing::info!("generation {generation} changes or removes listener {listener}: its old form drains");
            }
        }
        self.confirmed = Some(confirmed);
    }

    /// Tells the streams where to be, if that is news.
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
        // Said once for each generation: it starts the clock of how long the nodes take.
        if let Some(generation) = plan.generation().filter(|generation| before != Some(*generation)) {
            self.status.serving(generation, self.noticed);
        }
        self.plans.send_replace(plan);
    }

    /// Says, shows and keeps that a node rejected a generation.
    fn rejected(
        &mut self,
        generation: u64,
        node: &str,
        kind: Option<ResourceType>,
        culprit: Option<&Resource>,
        words: &str,
        instead: Option<u64>,
    ) {
        let what = culprit.map(|culprit| format!(" `{}`", culprit.name)).unwrap_or_default();
        let kind = kind.map(|kind| kind.short()).unwrap_or_default();
        let message = format!("node {node} rejected {kind}{what}: {}", words.trim());
        let at = culprit.map_or_else(|| self.beginning(), |culprit| culprit.origin.clone());
        let rejected = Rejected {
            configuration: self.newest.configuration.clone(),
            at: (at.line, at.column),
            message: message.clone(),
        };
        match instead {
            Some(instead) => tracing::error!(
                "generation {generation} is rejected: all nodes are served generation {instead} until the file changes"
            ),
            None => tracing::error!("generation {generation} is rejected, but none was confirmed before: it goes on"),
        }
        self.status.rejected(Some((generation, rejection(at, message, instead))));
        self.keep(self.state.keep_rejected(Some(&rejected)));
    }

    fn forget_rejected(&self) {
        self.status.rejected(None);
        self.keep(self.state.keep_rejected(None));
    }

    /// What can't be kept is missed at the next start only.
    fn keep(&self, kept: std::io::Result<()>) {
        if let Err(error) = kept {
            tracing::warn!("cannot keep what was confirmed or rejected for a later start: {error}");
        }
    }

    /// The place in the file where there is no better one.
    fn beginning(&self) -> Origin {
        Origin { file: self.path.display().to_string().into(), line: 1, column: 1 }
    }
}

fn rejection(at: Origin, message: String, instead: Option<u64>) -> Diagnostic {
    let help = instead.map(|instead| format!("generation {instead} is served until the file changes"));
    Diagnostic { severity: Severity::Error, code: code::REJECTED_BY_ENVOY, message, at, width: 1, help }
}

/// A hash of a configuration: the file, and what is made of it, so that a build that makes something else of it tries again.
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
