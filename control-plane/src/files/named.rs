//! The files that the gateway file names: read here, bounded, and compared when they may have
//! changed.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use legation_filter::compile::MAX_BYTES as MAX_CONFIGURATION;

use super::{
    certificates::{self, Contents},
    gateway_file::reason,
    key_pepper,
};
use crate::{
    config::{self, Loaded, Source, code},
    diagnostic::{Diagnostic, Severity},
    filter_module::MODULE,
    model::{Model, Secret},
    translate::configuration_bytes,
};

/// The most bytes that a named file may have. The authorities of a whole system are a quarter of
/// it.
const MAX_BYTES: u64 = 1 << 20;

/// A gateway file with the contents of the files that it names.
#[derive(Debug)]
pub struct LoadedWhole {
    /// The file's meaning and all that is wrong, in named files too. There is a model exactly where
    /// no diagnostic is an error.
    pub loaded: Loaded,
    /// The contents of the named files, for a model.
    pub secrets: Vec<Secret>,
    /// The named files as they were read. Empty if the gateway file does not say which.
    pub files: Option<NamedFiles>,
}

/// Reads a gateway file and the files that it names. Paths are relative to `folder`.
pub fn load(source: &Source, folder: &Path) -> LoadedWhole {
    let mut loaded = config::load(source, &|name| std::env::var(name).ok());
    let Some(model) = loaded.model.take() else {
        return LoadedWhole { loaded, secrets: Vec::new(), files: None };
    };
    let mut paths = certificates::paths(&model);
    paths.extend(key_pepper::path(&model));
    let files = NamedFiles::read(folder, paths);
    let (mut secrets, mut found) = certificates::check(&model, &files.contents, now());
    match key_pepper::check(&model, &files.contents) {
        Ok(pepper) => secrets.extend(pepper),
        Err(problem) => found.push(*problem),
    }
    found.extend(filter_too_large(&model, &secrets));
    let good = found.iter().all(|found| found.severity == Severity::Warning);
    loaded.diagnostics.extend(found);
    loaded.diagnostics.sort_by(|a, b| (&a.at, a.severity).cmp(&(&b.at, b.severity)));
    loaded.model = Some(model).filter(|_| good);
    LoadedWhole { loaded, secrets, files: Some(files) }
}

/// Returns a problem if the filter's configuration is too large.
fn filter_too_large(model: &Model, secrets: &[Secret]) -> Option<Diagnostic> {
    let bytes = configuration_bytes(model, secrets, &MODULE);
    (bytes > MAX_CONFIGURATION).then(|| Diagnostic {
        severity: Severity::Error,
        code: code::TOO_LARGE,
        message: format!(
            "consumers, plans and policies take {bytes} bytes as the filter reads them: at most {MAX_CONFIGURATION} are allowed"
        ),
        at: model.origin.clone(),
        width: 1,
        help: Some("name plans rather than consumers in `api_key` where many routes admit many".to_owned()),
    })
}

/// Returns the folder to which the paths in a gateway file are relative.
pub fn folder_of(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).to_owned()
}

/// Named files as they were at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedFiles {
    folder: PathBuf,
    contents: Contents,
}

impl NamedFiles {
    fn read(folder: &Path, paths: BTreeSet<String>) -> Self {
        let read = |path: String| {
            let content = read_bounded(&folder.join(&path)).map_err(|error| reason(&error));
            (path, content)
        };
        Self { folder: folder.to_owned(), contents: paths.into_iter().map(read).collect() }
    }

    /// Returns whether the files still have the same contents.
    pub fn are_unchanged(&self) -> bool {
        self.now() == *self
    }

    /// Reads the same files again.
    pub fn now(&self) -> Self {
        Self::read(&self.folder, self.contents.keys().cloned().collect())
    }

    /// Returns their paths.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.contents.keys().map(|path| self.folder.join(path))
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // Reading a pipe would wait.
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it is too large: at most {MAX_BYTES} bytes are read")));
    }
    Ok(bytes)
}

/// The time in seconds since 1970; 0 for earlier times.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
