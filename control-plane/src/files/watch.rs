//! Notices that one of some files changed, however it was saved, and waits until the writer is
//! done.
//!
//! The watch is on a file's directory and on those of the links on the way to it. Editors write a
//! new file and rename it into place, and Kubernetes swaps a link beside it, so a watch on the file
//! itself would follow a file that nobody reads any more. Where the system reports nothing (network
//! file systems, some mounts), a slow poll of the file's metadata sees the change. The watcher
//! never ends on an error.
//!
//! Half a file may be a good one that says something else. So the watcher leaves a file that is
//! being written alone until its writer closes it, or has paused for long.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tokio::{sync::mpsc, time};

/// A burst of events is over after this long without another one.
const QUIET: Duration = Duration::from_millis(15);

/// After this long the watcher does not wait any more for a writer that has the file open and
/// writes nothing.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How often the watcher compares the file's metadata, for changes that nothing reports.
const POLL: Duration = Duration::from_secs(2);

/// A change that the poll found is over when the metadata stays the same for this long.
const SETTLED: Duration = Duration::from_millis(200);

/// The most links on the way to a file. More is a loop.
const MOST_LINKS: usize = 16;

/// The most events that wait. More would only say once more that something happened.
const MOST_WAITING: usize = 64;

/// Watches some files.
pub struct FileWatch {
    paths: Vec<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    way: Way,
    /// The names in `way`, shared with the watcher's own thread.
    names: Arc<Mutex<BTreeSet<OsString>>>,
    events: mpsc::Receiver<Happened>,
    stamps: Vec<Option<Stamp>>,
    /// When something first happened that [`Self::changed`] has not returned yet. Its caller may
    /// drop it while it waits.
    pending: Option<Instant>,
    /// A writer has the file open.
    is_written: bool,
}

/// An event of a file or of a link on the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happened {
    Written,
    Closed,
    Other,
}

/// The directories that lead to the files, and the names in them that matter.
#[derive(Default)]
struct Way {
    /// Directories with their inodes: another directory may take a name.
    directories: BTreeSet<(PathBuf, u64)>,
    names: BTreeSet<OsString>,
}

/// The metadata that changes when a file is written or replaced.
#[derive(PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl FileWatch {
    /// Starts to watch. It notices what happens from now on.
    pub fn new(path: &Path) -> Self {
        let (sender, events) = mpsc::channel(MOST_WAITING);
        let names = Arc::new(Mutex::new(BTreeSet::new()));
        let matter = names.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Some(happened) = relevant(event, &matter.lock().unwrap_or_else(PoisonError::into_inner)) {
                // A full queue already has the news.
                let _ = sender.try_send(happened);
            }
        });
        let watcher =
            watcher.inspect_err(|error| tracing::warn!("looking for changes every {POLL:?} only: {error}")).ok();
        let paths = vec![path.to_owned()];
        let stamps = stamps(&paths);
        let mut watch =
            Self { paths, watcher, way: Way::default(), names, events, stamps, pending: None, is_written: false };
        watch.follow();
        watch
    }

    /// Watches these files from now on. Returns whether the files are others than before. What
    /// happened to them until now was not noticed.
    pub fn watch(&mut self, paths: Vec<PathBuf>) -> bool {
        if paths == self.paths {
            return false;
        }
        self.paths = paths;
        self.stamps = stamps(&self.paths);
        self.follow();
        true
    }

    /// Waits until a file may have changed and nobody is about to change it further. Returns when
    /// that was noticed. It may be that no file has changed. A caller that drops the future loses
    /// nothing: the next call goes on where it was.
    pub async fn changed(&mut self) -> Instant {
        let noticed = loop {
            if let Some(noticed) = self.pending {
                break noticed;
            }
            tokio::select! {
                Some(happened) = self.events.recv() => self.note(happened),
                () = time::sleep(POLL) => {
                    let noticed = Instant::now();
                    self.pending = self.settled_differently().await.then_some(noticed);
                }
            }
        };
        loop {
            let patience = if self.is_written { LONGEST_PAUSE } else { QUIET };
            match time::timeout(patience, self.events.recv()).await {
                Ok(Some(happened)) => self.note(happened),
                Ok(None) | Err(_) => break,
            }
        }
        self.pending = None;
        self.is_written = false;
        self.stamps = stamps(&self.paths);
        self.follow();
        noticed
    }

    fn note(&mut self, happened: Happened) {
        self.pending.get_or_insert_with(Instant::now);
        match happened {
            Happened::Written => self.is_written = true,
            Happened::Closed => self.is_written = false,
            Happened::Other => {}
        }
    }

    /// Waits until the metadata stays the same, and returns whether it changed.
    async fn settled_differently(&self) -> bool {
        let mut now = stamps(&self.paths);
        if now == self.stamps {
            return false;
        }
        loop {
            time::sleep(SETTLED).await;
            let later = stamps(&self.paths);
            if later == now {
                return true;
            }
            now = later;
        }
    }

    /// Watches the directories that now lead to the files, and no others.
    fn follow(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let mut wanted = Way::to(&self.paths);
        for (gone, _) in self.way.directories.difference(&wanted.directories) {
            // A deleted directory has no watch to end.
            let _ = watcher.unwatch(gone);
        }
        // The next call tries again to watch a directory that can't be watched now.
        wanted.directories.retain(|directory| {
            self.way.directories.contains(directory)
                || watcher
                    .watch(&directory.0, RecursiveMode::NonRecursive)
                    .inspect_err(|error| tracing::debug!("cannot watch {}: {error}", directory.0.display()))
                    .is_ok()
        });
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&wanted.names);
        self.way = wanted;
    }
}

/// Returns what an event says about the files, if it concerns them. An error may hide any event.
fn relevant(event: notify::Result<notify::Event>, names: &BTreeSet<OsString>) -> Option<Happened> {
    let Ok(event) = event else { return Some(Happened::Other) };
    let about_it = |path: &PathBuf| path.file_name().is_none_or(|name| names.contains(name));
    if !event.paths.is_empty() && !event.paths.iter().any(about_it) {
        return None;
    }
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Happened::Closed),
        // Our own reads must not look like changes.
        EventKind::Access(_) => None,
        EventKind::Modify(ModifyKind::Data(_)) => Some(Happened::Written),
        _ => Some(Happened::Other),
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    paths.iter().map(|path| stamp(path)).collect()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok(), length: metadata.len(), inode: metadata.ino() })
}

impl Way {
    /// Returns the way to all of these files.
    fn to(paths: &[PathBuf]) -> Self {
        let mut way = Self::default();
        for path in paths {
            way.extend(path);
        }
        way
    }

    /// Adds the directory of the file and of each link on the way to it.
    fn extend(&mut self, path: &Path) {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let directory = self.add(&path);
            // The directory may itself be a link (`..data/gateway.yaml`), which is swapped in the
            // directory above.
            if fs::read_link(&directory).is_ok() {
                self.add(&directory);
            }
            match fs::read_link(&path) {
                Ok(link) => path = directory.join(link),
                Err(_) => break,
            }
        }
    }

    /// Adds a name and its directory, and returns the directory.
    fn add(&mut self, path: &Path) -> PathBuf {
        self.names.extend(path.file_name().map(OsString::from));
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let inode = fs::metadata(&directory).map(|metadata| metadata.ino());
        if let (Ok(real), Ok(inode)) = (directory.canonicalize(), inode) {
            self.directories.insert((real, inode));
        }
        directory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_that_is_dropped_loses_no_change() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.yaml");
        fs::write(&path, "one").unwrap();
        let mut watch = FileWatch::new(&path);
        fs::write(&path, "two").unwrap();
        // This is shorter than a burst, so every wait is dropped in its middle.
        while watch.pending.is_none() {
            let _ = time::timeout(Duration::from_millis(1), watch.changed()).await;
        }
        watch.changed().await;
        assert_eq!(watch.pending, None);
    }

    #[test]
    fn events_about_other_files_and_our_own_reading_do_not_matter() {
        let names = BTreeSet::from([OsString::from("gateway.yaml")]);
        let event = |kind, name: &str| Ok(notify::Event::new(kind).add_path(Path::new("/etc").join(name)));
        let written = EventKind::Modify(ModifyKind::Data(notify::event::DataChange::Any));
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
        assert_eq!(relevant(event(written, "gateway.yaml"), &names), Some(Happened::Written));
        assert_eq!(relevant(event(closed, "gateway.yaml"), &names), Some(Happened::Closed));
        assert_eq!(relevant(event(opened, "gateway.yaml"), &names), None);
        assert_eq!(relevant(event(written, "access.log"), &names), None);
        assert_eq!(relevant(Err(notify::Error::generic("overflow")), &names), Some(Happened::Other));
    }
}
