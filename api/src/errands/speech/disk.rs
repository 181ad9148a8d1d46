//! Speech on disk, by the digest of what was said: bounded, the oldest goes first.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folder of spoken texts.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    dir: PathBuf,
    most: u64,
}

impl Disk {
    /// At most `most` octets in `dir`, which is made where it is missing.
    pub(super) fn new(dir: PathBuf, most: u64) -> Self {
        Self { dir, most }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.dir.join(format!("{key}.wav"))
    }

    /// What was kept. Blocks.
    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(key)).ok()
    }

    /// Keeps it, whole or not at all, and makes room. Blocks.
    pub(super) fn put(&self, key: &str, wav: &[u8]) -> io::Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        let part = self.dir.join(format!("{key}.part"));
        std::fs::write(&part, wav)?;
        std::fs::rename(&part, self.path(key))?;
        make_room(&self.dir, self.most)
    }
}

fn make_room(dir: &Path, most: u64) -> io::Result<()> {
    let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let (path, meta) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        // What else lies there is not ours.
        if meta.is_file() && path.extension().is_some_and(|ending| ending == "wav" || ending == "part") {
            files.push((meta.modified()?, meta.len(), path));
        }
    }
    let mut octets: u64 = files.iter().map(|(_, octets, _)| octets).sum();
    files.sort();
    for (_, size, path) in files {
        if octets <= most {
            break;
        }
        std::fs::remove_file(path)?;
        octets -= size;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_there_and_the_oldest_goes_when_there_is_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::new(dir.path().join("speech"), 250);
        for (key, age) in [("a", 30), ("b", 20)] {
            disk.put(key, &[1; 100]).unwrap();
            let file = std::fs::File::options().write(true).open(disk.path(key)).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
        }
        assert_eq!(disk.get("a"), Some(vec![1; 100]));
        disk.put("c", &[2; 100]).unwrap();
        assert_eq!((disk.get("a"), disk.get("b"), disk.get("c")), (None, Some(vec![1; 100]), Some(vec![2; 100])));
    }
}
