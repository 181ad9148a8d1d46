//! The folder of prompts: a name to a file, and never to one outside.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What a prompt's file may end in, in the order in which they are looked for.
const EXTENSIONS: [&str; 4] = ["wav", "mp3", "flac", "ogg"];

/// The longest file that is read, in octets. A longer one is refused.
pub(super) const MAX_FILE: u64 = 64 << 20;

/// By what a change is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) modified: Option<SystemTime>,
    pub(super) octets: u64,
}

/// A file of the folder.
#[derive(Debug)]
pub(super) struct Found {
    path: PathBuf,
    pub(super) extension: &'static str,
    pub(super) stamp: Stamp,
}

#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
}

impl Folder {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The file of a prompt. `name` has no separator and is no `..` (it comes out of [`ivr::Answer`]); here that is
    /// asked again, since what hangs on it is every file of the machine. A link that leads out of the folder is no file
    /// of it.
    pub(super) fn find(&self, name: &str) -> Option<Found> {
        name.parse::<ivr::PromptName>().ok()?;
        let dir = self.dir.canonicalize().ok()?;
        EXTENSIONS.into_iter().find_map(|extension| found(&dir, name, extension))
    }
}

fn found(dir: &Path, name: &str, extension: &'static str) -> Option<Found> {
    let path = dir.join(format!("{name}.{extension}")).canonicalize().ok()?;
    let metadata = path.metadata().ok().filter(|metadata| metadata.is_file() && path.starts_with(dir))?;
    let stamp = Stamp { modified: metadata.modified().ok(), octets: metadata.len() };
    Some(Found { path, extension, stamp })
}

impl Found {
    /// The file's bytes.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(&self.path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(io::Error::other(format!("it is longer than {} MiB", MAX_FILE >> 20)));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_by_stem_and_nothing_outside() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret.wav"), b"x").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("menu.v2.mp3"), b"abc").unwrap();
        std::fs::create_dir(dir.path().join("folder.wav")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.wav"), dir.path().join("link.wav")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("menu.v2.mp3"), dir.path().join("alias.mp3")).unwrap();
        let folder = Folder::new(dir.path().to_owned());
        let menu = folder.find("menu.v2").unwrap();
        assert_eq!((menu.extension, menu.stamp.octets, menu.read().unwrap()), ("mp3", 3, b"abc".to_vec()));
        assert!(folder.find("alias").is_some());
        let escape = format!("../{}/secret", outside.path().file_name().unwrap().to_str().unwrap());
        for name in ["link", "folder", "menu", "", "..", &escape, "/etc/passwd", "%2e%2e", "a\0b", "menu.v2.mp3"] {
            assert!(folder.find(name).is_none(), "{name:?}");
        }
    }
}
