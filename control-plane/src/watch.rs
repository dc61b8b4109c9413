//! Notices that a file changed, however it was saved.
//!
//! What is watched is the file's directory, and those of the links on the way to it: editors write a new file and rename it
//! into place, and Kubernetes swaps a link beside it, so that a watch on the file itself would look at a file that nobody
//! reads any more. Where the system reports nothing (network file systems, some mounts) a slow poll of the file's metadata
//! sees it. The watcher never ends on an error.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::AccessKind};
use tokio::{sync::mpsc, time};

/// Without another event for this long, a burst of them is over.
const QUIET: Duration = Duration::from_millis(15);

/// A burst that does not end is looked at after this long all the same.
const LONGEST_BURST: Duration = Duration::from_millis(200);

/// How often the file's metadata is compared, for changes that nothing reports.
const POLL: Duration = Duration::from_secs(2);

/// As many links are followed on the way to a file; more is a loop.
const MOST_LINKS: usize = 16;

/// Watches one file.
pub struct FileWatch {
    path: PathBuf,
    watcher: Option<RecommendedWatcher>,
    directories: BTreeSet<(PathBuf, u64)>,
    events: mpsc::Receiver<()>,
    stamp: Option<Stamp>,
}

/// What changes when a file is written or another takes its place.
#[derive(PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl FileWatch {
    /// Starts to watch; what happens from now on is noticed.
    pub fn new(path: &Path) -> Self {
        let (sender, events) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Our own reading of the file must not look like a change of it. An error may hide changes.
            let matters =
                event.map_or(true, |event| !matches!(event.kind, EventKind::Access(kind) if !is_write_end(kind)));
            if matters {
                // A full channel already holds the news.
                let _ = sender.try_send(());
            }
        });
        let watcher =
            watcher.inspect_err(|error| tracing::warn!("changes are only polled for, every {POLL:?}: {error}")).ok();
        let mut watch =
            Self { path: path.to_owned(), watcher, directories: BTreeSet::new(), events, stamp: stamp(path) };
        watch.follow();
        watch
    }

    /// Waits until the file may have changed and a burst of events is over. It may be that it has not changed.
    pub async fn changed(&mut self) {
        loop {
            tokio::select! {
                Some(()) = self.events.recv() => {
                    self.end_of_burst().await;
                    break;
                }
                () = time::sleep(POLL) => {
                    if stamp(&self.path) != self.stamp {
                        break;
                    }
                }
            }
        }
        self.stamp = stamp(&self.path);
        self.follow();
    }

    async fn end_of_burst(&mut self) {
        let end = time::Instant::now() + LONGEST_BURST;
        while time::timeout_at(end.min(time::Instant::now() + QUIET), self.events.recv())
            .await
            .is_ok_and(|event| event.is_some())
        {}
    }

    /// Watches the directories that lead to the file now, and no others.
    fn follow(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted = directories(&self.path);
        for (gone, _) in self.directories.difference(&wanted) {
            // A directory that is no more has no watch to end.
            let _ = watcher.unwatch(gone);
        }
        let kept = self.directories.intersection(&wanted).cloned();
        let added = wanted.difference(&self.directories).filter(|(directory, _)| {
            watcher
                .watch(directory, RecursiveMode::NonRecursive)
                .inspect_err(|error| tracing::debug!("cannot watch {}: {error}", directory.display()))
                .is_ok()
        });
        self.directories = kept.chain(added.cloned()).collect();
    }
}

fn is_write_end(kind: AccessKind) -> bool {
    matches!(kind, AccessKind::Close(notify::event::AccessMode::Write))
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok(), length: metadata.len(), inode: metadata.ino() })
}

/// The directory of the file and of each link on the way to it, with its inode: another one may take its name.
fn directories(path: &Path) -> BTreeSet<(PathBuf, u64)> {
    let mut found = BTreeSet::new();
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let directory = directory_of(&path);
        found.extend(identified(&directory));
        // The directory may itself be a link (`..data/gateway.yaml`), which is swapped in the directory above.
        if fs::read_link(&directory).is_ok() {
            found.extend(identified(&directory_of(&directory)));
        }
        match fs::read_link(&path) {
            Ok(link) => path = directory.join(link),
            Err(_) => break,
        }
    }
    found
}

fn identified(directory: &Path) -> Option<(PathBuf, u64)> {
    let real = directory.canonicalize().ok()?;
    let inode = fs::metadata(&real).ok()?.ino();
    Some((real, inode))
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
