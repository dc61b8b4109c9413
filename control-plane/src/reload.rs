//! From the file to a published snapshot, or not at all: the only writer of the snapshot.
//!
//! A file that can't be read or used changes nothing: what runs goes on, and the diagnostics say why. A file that says the
//! same as before makes no generation.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;

use crate::{
    config::{self, Loaded, Source},
    diagnostic::{Diagnostic, Severity},
    metrics::{Metrics, ReloadResult},
    model::Model,
    snapshot::Snapshot,
    source,
    state::State,
    status::Status,
    translate::{self, Module},
};

/// What everything that serves snapshots listens to; `None` until the first good file.
pub type Snapshots = watch::Sender<Option<Arc<Snapshot>>>;

/// Reads the file again and again.
pub struct Reloader {
    path: PathBuf,
    module: Module,
    state: State,
    snapshots: Snapshots,
    status: Arc<Status>,
    metrics: Arc<Metrics>,
    generation: u64,
    /// The content of the file at the last look, good or bad; `None` when it could not be read.
    seen: Option<Vec<u8>>,
    /// The content of the generation that is served.
    served: Vec<u8>,
}

impl Reloader {
    /// Nothing is read yet.
    pub fn new(
        path: &Path,
        module: Module,
        state: State,
        snapshots: Snapshots,
        status: Arc<Status>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            module,
            state,
            snapshots,
            status,
            metrics,
            generation: 0,
            seen: None,
            served: Vec::new(),
        }
    }

    /// The first look. A file that can't be used is replaced by the last one that an Envoy confirmed, if one was kept.
    ///
    /// # Errors
    /// The diagnostics, when there is nothing to serve.
    pub fn start(&mut self) -> Result<(), Vec<Diagnostic>> {
        self.reload();
        if self.generation > 0 {
            return Ok(());
        }
        let kept = self.state.confirmed().and_then(|(path, bytes)| {
            let source = Source { file: path.display().to_string().into(), bytes };
            let model = load(&source).model?;
            Some((source, model))
        });
        match kept {
            Some((source, model)) => {
                log(&self.status.diagnostics());
                tracing::warn!("the file cannot be used; serving the last confirmed one, kept as {}", source.file);
                self.publish(&model, source.bytes);
                Ok(())
            }
            None => Err(self.status.diagnostics()),
        }
    }

    /// Looks at the file and publishes what it says, if it can be used and says something new.
    pub fn reload(&mut self) {
        let source = match source::read(&self.path) {
            Ok(source) => source,
            Err(diagnostic) => {
                self.seen = None;
                return self.refuse(vec![*diagnostic]);
            }
        };
        if self.seen.as_ref() == Some(&source.bytes) {
            return;
        }
        let Loaded { model, diagnostics } = load(&source);
        self.seen = Some(source.bytes.clone());
        let Some(model) = model else {
            return self.refuse(diagnostics);
        };
        log(&diagnostics);
        self.status.file_is_good(diagnostics);
        self.publish(&model, source.bytes);
    }

    fn refuse(&mut self, diagnostics: Vec<Diagnostic>) {
        // The same reasons again are not news, and at the start whoever started us says them.
        if self.status.diagnostics() != diagnostics {
            if self.generation > 0 {
                log(&diagnostics);
                tracing::error!("the file is not used; generation {} goes on", self.generation);
            }
            self.metrics.reload(ReloadResult::Refused);
        }
        self.status.file_is_bad(diagnostics);
    }

    fn publish(&mut self, model: &Model, content: Vec<u8>) {
        let next = Snapshot::new(self.generation + 1, translate::resources(model, &self.module));
        let unchanged = self.snapshots.borrow().as_ref().is_some_and(|current| current.same_resources(&next));
        self.served = content;
        if unchanged {
            self.metrics.reload(ReloadResult::Unchanged);
            tracing::info!("the file changed, but says the same: generation {} goes on", self.generation);
            return;
        }
        self.generation += 1;
        self.status.serving(self.generation);
        self.metrics.reload(ReloadResult::Published);
        tracing::info!(
            "generation {}: listeners {}, routes {}, clusters {}",
            self.generation,
            model.listeners.len(),
            model.routes.len(),
            model.clusters.len()
        );
        self.snapshots.send_replace(Some(Arc::new(next)));
    }

    /// Keeps the served configuration for a later start with a bad file, if it is that of the generation confirmed.
    pub fn keep_confirmed(&self, confirmed: u64) {
        if confirmed != self.generation {
            return;
        }
        if let Err(error) = self.state.keep_confirmed(&self.served) {
            tracing::warn!("cannot keep the confirmed configuration: {error}");
        }
    }
}

fn load(source: &Source) -> Loaded {
    config::load(source, &|name| std::env::var(name).ok())
}

fn log(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        match diagnostic.severity {
            Severity::Error => tracing::error!("{diagnostic}"),
            Severity::Warning => tracing::warn!("{diagnostic}"),
        }
    }
}
