//! A copy of what a switch keeps, taken while it runs, and put back where there is nothing yet.
//!
//! The journal is copied before the database and once more after it. So whatever the database's copy lacks is in the
//! journal's: what was projected, and its segment deleted, before the second look is in the first. A segment that was
//! being written is cut short at most, and its start takes that for what a crash leaves. Sounds of recordings are files
//! of their own in `recordings.dir`, and are not copied here.

use crate::journal::segment;
use crate::store::StoreError;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// The database's name in a backup.
const DATABASE: &str = "tandem.db";

/// The journal's.
const JOURNAL: &str = "journal";

/// The key file's.
const KEY_FILE: &str = "tandem.key";

/// How long the copy waits for whoever writes to the database.
const BUSY: Duration = Duration::from_secs(30);

/// Where a switch keeps things.
#[derive(Clone, Debug)]
pub struct Places {
    /// `database.url`.
    pub database: String,
    /// `journal.dir`.
    pub journal: PathBuf,
    /// `secrets.key_file`.
    pub key_file: PathBuf,
}

/// Why there is no backup, or why it is not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file system refused.
    #[error("{place}: {error}", place = place.display())]
    Io {
        /// Where.
        place: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// Something is there already.
    #[error("{place} is there already: name another place, or move it away", place = .0.display())]
    Exists(PathBuf),
    /// PostgreSQL has means of its own.
    #[error(
        "the database is not SQLite: stop the switch, take the database with pg_dump, and copy journal.dir and \
         secrets.key_file beside it"
    )]
    NotSqlite,
    /// The database's copy failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn at(place: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let place = place.to_owned();
    move |error| BackupError::Io { place, error }
}

impl Places {
    /// An SQLite database that is there: opened as it is, without what a start of another version would make of it.
    fn sqlite(&self) -> Result<SqliteConnectOptions, BackupError> {
        if !self.database.starts_with("sqlite:") {
            return Err(BackupError::NotSqlite);
        }
        let options = SqliteConnectOptions::from_str(&self.database).map_err(StoreError::from)?;
        Ok(options.create_if_missing(false).busy_timeout(BUSY))
    }

    /// Copies everything into the new folder `to`, whether or not a switch runs.
    ///
    /// # Errors
    /// Where `to` is there already, the database is none of SQLite, or something cannot be read or written. What was
    /// written by then lies in `to` with `.partial` behind its name.
    pub async fn back_up(&self, to: &Path) -> Result<(), BackupError> {
        let options = self.sqlite()?;
        let database = options.get_filename().to_owned();
        if to.exists() {
            return Err(BackupError::Exists(to.to_owned()));
        }
        fs::metadata(&database).map_err(at(&database))?;
        let partial = to.with_added_extension("partial");
        if partial.exists() {
            return Err(BackupError::Exists(partial));
        }
        let journal = partial.join(JOURNAL);
        // What is in it is for its owner alone, as the key file is.
        DirBuilder::new().recursive(true).mode(0o700).create(&journal).map_err(at(&journal))?;
        copy_file(&self.key_file, &partial.join(KEY_FILE))?;
        copy_segments(&self.journal, &journal)?;
        let copy = partial.join(DATABASE);
        copy_database(&options, &copy).await?;
        copy_segments(&self.journal, &journal)?;
        // SQLite does not wait for the disk here.
        for place in [&copy, &journal, &partial] {
            sync(place)?;
        }
        fs::rename(&partial, to).map_err(at(to))?;
        sync(to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    }

    /// Puts a backup back, where none of it is yet.
    ///
    /// # Errors
    /// Where there is a database, a journal or a key file already, or something cannot be read or written.
    pub fn restore(&self, from: &Path) -> Result<(), BackupError> {
        let database = self.sqlite()?.get_filename().to_owned();
        // What a database that is gone has left beside it would be taken for a part of this one.
        let wal = PathBuf::from(format!("{}-wal", database.display()));
        if let Some(there) = [&database, &wal, &self.key_file].into_iter().find(|place| place.exists()) {
            return Err(BackupError::Exists(there.clone()));
        }
        if self.journal.exists() && !segments(&self.journal)?.is_empty() {
            return Err(BackupError::Exists(self.journal.clone()));
        }
        for part in [JOURNAL, KEY_FILE, DATABASE].map(|part| from.join(part)) {
            fs::metadata(&part).map_err(at(&part))?;
        }
        for folder in [Some(self.journal.as_path()), self.key_file.parent(), database.parent()].into_iter().flatten() {
            if !folder.as_os_str().is_empty() {
                fs::create_dir_all(folder).map_err(at(folder))?;
            }
        }
        copy_segments(&from.join(JOURNAL), &self.journal)?;
        copy_file(&from.join(KEY_FILE), &self.key_file)?;
        copy_file(&from.join(DATABASE), &database)
    }
}

/// A whole copy of the database in a new file, as it stands at one moment, while others write on.
async fn copy_database(options: &SqliteConnectOptions, to: &Path) -> Result<(), BackupError> {
    let file = to.to_string_lossy().into_owned();
    let mut connection = options.connect().await.map_err(StoreError::from)?;
    let copied = sqlx::query("VACUUM INTO $1").bind(file).execute(&mut connection).await;
    copied.map_err(StoreError::from)?;
    connection.close().await.map_err(StoreError::from)?;
    Ok(())
}

/// Waits until a file or a folder is on disk.
fn sync(place: &Path) -> Result<(), BackupError> {
    File::open(place).and_then(|file| file.sync_all()).map_err(at(place))
}

/// Numbers of the segments in a folder.
fn segments(folder: &Path) -> Result<Vec<u64>, BackupError> {
    let entries = fs::read_dir(folder).map_err(at(folder))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(at(folder))?.file_name();
        numbers.extend(name.to_str().and_then(segment::number));
    }
    Ok(numbers)
}

/// Copies the segments that `to` does not have, or has shorter.
fn copy_segments(from: &Path, to: &Path) -> Result<(), BackupError> {
    for number in segments(from)? {
        let (source, copy) = (segment::path(from, number), segment::path(to, number));
        match fs::metadata(&source) {
            // Projected and deleted since the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(&source)(error)),
            Ok(meta) if fs::metadata(&copy).is_ok_and(|copied| copied.len() == meta.len()) => {}
            Ok(_) => match copy_file(&source, &copy) {
                Err(BackupError::Io { error, place }) if error.kind() == io::ErrorKind::NotFound && place == source => {
                }
                copied => copied?,
            },
        }
    }
    Ok(())
}

/// Copies a file that nobody else may read, and waits until it is on disk.
fn copy_file(from: &Path, to: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut source = File::open(from).map_err(at(from))?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut copy = options.open(to).map_err(at(to))?;
    io::copy(&mut source, &mut copy).map_err(at(to))?;
    copy.sync_all().map_err(at(to))
}
