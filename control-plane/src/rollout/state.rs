//! What outlives the process, in a folder beside the file: the last configuration that was
//! confirmed, what was rejected since, and the Envoy that `run` started.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// A configuration that a node rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// A hash of the configuration.
    pub configuration: String,
    /// The place in the file: line and column, from 1.
    pub at: (u32, u32),
    /// Which node rejected what, in its words.
    pub message: String,
}

const CONFIRMED: &str = "confirmed.yaml";
const REJECTED: &str = "rejected.json";

/// The folder. The first thing that is kept creates it.
#[derive(Clone, Debug)]
pub struct State {
    folder: PathBuf,
}

impl State {
    /// The folder that the command names, or `.legation` beside the file.
    pub fn new(asked: Option<PathBuf>, file: &Path) -> Self {
        let beside = || match file.parent() {
            Some(parent) => parent.join(".legation"),
            None => PathBuf::from(".legation"),
        };
        Self { folder: asked.unwrap_or_else(beside) }
    }

    /// The path of a file in the folder. Creates the folder where it is missing.
    ///
    /// # Errors
    /// What the system says when the folder can't be made.
    pub fn path(&self, name: &str) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.folder).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot make the state's folder {}: {error}", self.folder.display()))
        })?;
        Ok(self.folder.join(name))
    }

    /// The last confirmed configuration, if one was kept.
    pub fn confirmed(&self) -> Option<(PathBuf, Vec<u8>)> {
        let path = self.folder.join(CONFIRMED);
        fs::read(&path).ok().map(|bytes| (path, bytes))
    }

    /// Keeps the configuration that was confirmed, whole or not at all.
    ///
    /// # Errors
    /// What the system says when it can't be written.
    pub fn keep_confirmed(&self, bytes: &[u8]) -> io::Result<()> {
        self.write(CONFIRMED, bytes)
    }

    /// What was rejected last, unless something was tried after it.
    pub fn rejected(&self) -> Option<Rejected> {
        serde_json::from_slice(&fs::read(self.folder.join(REJECTED)).ok()?).ok()
    }

    /// Keeps what was rejected, or forgets it.
    ///
    /// # Errors
    /// What the system says when it can't be written or removed.
    pub fn keep_rejected(&self, rejected: Option<&Rejected>) -> io::Result<()> {
        match rejected {
            Some(rejected) => self.write(REJECTED, &serde_json::to_vec(rejected)?),
            None => match fs::remove_file(self.folder.join(REJECTED)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }

    /// Writes a file in the folder, whole or not at all.
    ///
    /// # Errors
    /// What the system says when it can't be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        io::Write::write_all(&mut file, bytes)?;
        file.persist(path)?;
        Ok(())
    }
}
