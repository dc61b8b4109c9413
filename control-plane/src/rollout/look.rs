//! The gateway file as it was last seen, with the files that it names.

use std::{
    iter,
    path::{Path, PathBuf},
};

use crate::{
    config::{Loaded, Source},
    diagnostic::Diagnostic,
    files::{
        gateway_file,
        named::{self, LoadedWhole, NamedFiles},
    },
    model::{Model, Secret},
};

/// A file that can be used.
pub(super) struct Configuration {
    /// What it says.
    pub(super) content: Vec<u8>,
    /// What it means.
    pub(super) model: Model,
    /// What the files that it names hold.
    pub(super) secrets: Vec<Secret>,
    /// What may be wrong with it all the same.
    pub(super) warnings: Vec<Diagnostic>,
}

/// Looks at the file again and again.
pub(super) struct Look {
    path: PathBuf,
    /// The content of the file at the last look, good or bad; none when it could not be read.
    seen: Option<Vec<u8>>,
    /// The files that it named when it last said which, as they were then.
    files: NamedFiles,
}

impl Look {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), seen: None, files: NamedFiles::default() }
    }

    /// The file's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All files whose change matters: the file and those that it names.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        iter::once(self.path.clone()).chain(self.files.paths()).collect()
    }

    /// Takes the file for new at the next look, though nothing may have changed.
    pub(super) fn forget(&mut self) {
        self.seen = None;
    }

    /// Reads the file and those that it names. Returns none when nothing changed since the last
    /// look.
    ///
    /// # Errors
    /// Why the file can't be used.
    pub(super) fn again(&mut self) -> Result<Option<Configuration>, Vec<Diagnostic>> {
        let source = match gateway_file::read(&self.path) {
            Ok(source) => source,
            Err(diagnostic) => {
                self.seen = None;
                return Err(vec![*diagnostic]);
            }
        };
        if self.seen.as_ref() == Some(&source.bytes) && self.files.are_unchanged() {
            return Ok(None);
        }
        let LoadedWhole { loaded: Loaded { model, diagnostics }, secrets, files } = self.load(&source);
        // A file that can't be read as YAML names no files. Those that it named before still
        // count.
        self.files = files.unwrap_or_else(|| self.files.now());
        self.seen = Some(source.bytes.clone());
        match model {
            Some(model) => Ok(Some(Configuration { content: source.bytes, model, secrets, warnings: diagnostics })),
            None => Err(diagnostics),
        }
    }

    /// Reads what a file means. Paths in it are relative to the folder of the watched file, also
    /// in a copy that is kept elsewhere.
    pub(super) fn load(&self, source: &Source) -> LoadedWhole {
        named::load(source, &named::folder_of(&self.path))
    }
}
