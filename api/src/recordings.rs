//! Recordings: the files that the media engine has written, what a killed process has left of them, and their going.

mod mend;

pub use mend::Held;

use crate::Wall;
use crate::mp3::Encoders;
use crate::store::{Store, StoreError};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often what is too old is looked for; and once at each start.
pub const SWEEP_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// Rows that are looked at together.
const AT_ONCE: usize = 500;

const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// The folder of recordings. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Recordings {
    dir: Arc<PathBuf>,
    keep_days: u64,
    /// Who makes MP3 of them.
    pub(crate) encoders: Encoders,
}

/// What a sweep has not been able to do.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// A file, or the folder.
    #[error("recordings.dir: {0}")]
    File(#[from] io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// True for `RE` and 32 hexadecimal digits: nothing else becomes a part of a path.
#[must_use]
pub fn is_sid(text: &str) -> bool {
    text.strip_prefix("RE").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl Recordings {
    /// Those in `dir`, each of which is kept for so many days.
    #[must_use]
    pub fn new(dir: PathBuf, keep_days: u64) -> Self {
        Self { dir: Arc::new(dir), keep_days, encoders: Encoders::default() }
    }

    /// The file of a recording; `None` where `sid` is none.
    #[must_use]
    pub fn file(&self, sid: &str) -> Option<PathBuf> {
        is_sid(sid).then(|| self.dir.join(format!("{sid}.wav")))
    }

    /// Takes a recording's file away; it may have gone already.
    ///
    /// # Errors
    /// Where the system does not let us.
    pub async fn remove(&self, sid: &str) -> io::Result<()> {
        match self.file(sid) {
            Some(file) => gone(tokio::fs::remove_file(file).await),
            None => Ok(()),
        }
    }

    /// Makes the files of these recordings true, which nobody writes any more, and says what each holds. One that cannot
    /// be read holds nothing, with a word in the log.
    pub async fn mend(&self, sids: Vec<String>) -> BTreeMap<String, Held> {
        let files: Vec<_> = sids.into_iter().filter_map(|sid| Some((self.file(&sid)?, sid))).collect();
        let mended =
            tokio::task::spawn_blocking(move || files.into_iter().map(|(file, sid)| (sid, mended(&file))).collect());
        mended.await.unwrap_or_default()
    }

    /// Sweeps now and then, for as long as it is polled.
    pub async fn keep(self, store: Store, wall: Wall) {
        loop {
            match self.sweep(&store, wall()).await {
                Ok(0) => {}
                Ok(swept) => tracing::info!(swept, keep_days = self.keep_days, "old recordings are deleted"),
                Err(error) => tracing::error!(%error, "old recordings are not deleted"),
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }

    /// Deletes what is older than it is kept: files with their rows, and files that have none. How many files or rows.
    ///
    /// # Errors
    /// Where the database is away or a file cannot be deleted; the rest is for the next sweep.
    pub async fn sweep(&self, store: &Store, now: u64) -> Result<usize, SweepError> {
        let kept_ms = self.keep_days.saturating_mul(DAY_MS);
        let before = now.saturating_sub(kept_ms);
        let mut swept = 0;
        loop {
            let old = store.old_recordings(before, AT_ONCE).await?;
            for sid in &old {
                self.remove(sid).await?;
                store.forget_recording(sid).await?;
                swept += 1;
            }
            if old.len() < AT_ONCE {
                break;
            }
        }
        let (dir, age) = (Arc::clone(&self.dir), Duration::from_millis(kept_ms));
        let strays = tokio::task::spawn_blocking(move || strays(&dir, age));
        Ok(swept + strays.await.map_err(io::Error::other)??)
    }
}

fn mended(file: &Path) -> Held {
    mend::mend(file).unwrap_or_else(|error| {
        tracing::error!(file = %file.display(), %error, "a recording that was being made cannot be read");
        Held::NOTHING
    })
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Deletes files that nobody has written to for `age`: those of a database that was lost, or of a process that was
/// killed.
fn strays(dir: &Path, age: Duration) -> io::Result<usize> {
    let mut swept = 0;
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let ours = name.to_str().and_then(|name| name.strip_suffix(".wav")).is_some_and(is_sid);
        let written = entry.metadata().and_then(|meta| meta.modified());
        let old = written.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|since| since > age));
        if ours && old {
            gone(std::fs::remove_file(entry.path()))?;
            swept += 1;
        }
    }
    Ok(swept)
}
