//! Files that appear whole or not at all.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// Written and taken back when a file is created, so that a full disk shows before the work, not after.
static PROBE: [u8; 1 << 16] = [0; 1 << 16];

/// Temporary files that exist now. Locked while one is renamed, so that an interrupt never falls
/// between the two.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the temporary files of all unfinished outputs, and returns a guard; while it lives, no
/// output is finished. For a handler of interrupts, which ends the process next.
pub fn remove_unfinished() -> impl Drop {
    let paths = unfinished();
    for path in paths.iter() {
        // The process is about to end: nobody is left to tell.
        let _ = fs::remove_file(path);
    }
    paths
}

/// An output file: created (as a temporary file beside it) before the work, finished after it.
///
/// Dropped unfinished, it leaves nothing behind and an existing file as it was. A path that is no
/// plain file (a pipe, a device) is written to directly.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("out.txt");
/// let file = diffuser::output::AtomicFile::create(&path)?; // fails here if the folder is missing
/// // ... hours of work ...
/// file.commit(b"result")?;
/// # assert_eq!(std::fs::read(&path).unwrap(), b"result");
/// # Ok::<(), diffuser::Error>(())
/// ```
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Beside(Beside),
    Direct(File),
}

/// A temporary file that takes itself off [`UNFINISHED`].
#[derive(Debug)]
struct Beside {
    /// `None` only while it is renamed.
    file: Option<NamedTempFile>,
    /// Where it goes: the path asked for, links followed.
    target: PathBuf,
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            unfinished().remove(file.path());
        }
    }
}

impl AtomicFile {
    /// Prepares to write `path`.
    ///
    /// # Errors
    ///
    /// When the folder is missing or cannot be written to, or the disk is full.
    pub fn create(path: &Path) -> Result<Self> {
        let problem = |source| Error::io("write", path)(source);
        let sink = match fs::metadata(path) {
            Ok(m) if m.is_dir() => {
                return Err(Error::file(path, "cannot be written: it is a folder"));
            }
            Ok(m) if !m.is_file() => {
                let mut file = OpenOptions::new().write(true).open(path).map_err(problem)?;
                // No bytes (`write_all` would not even ask): a full device says so, others do nothing.
                let _none = file.write(&[]).map_err(problem)?;
                Sink::Direct(file)
            }
            found => {
                // Renaming onto a link would replace the link.
                let target = match found {
                    Ok(_) => fs::canonicalize(path).map_err(problem)?,
                    Err(_) => path.to_path_buf(),
                };
                if target.file_name().is_none() {
                    return Err(Error::file(
                        path,
                        "cannot be written: it is not the name of a file",
                    ));
                }
                let folder = match target.parent() {
                    Some(p) if p.as_os_str().is_empty() => Path::new("."),
                    Some(p) => p,
                    None => Path::new("/"),
                };
                if !folder.is_dir() {
                    let reason = format!(
                        "cannot be written: the folder {} does not exist",
                        folder.display()
                    );
                    return Err(Error::file(path, reason));
                }
                let beside = Beside {
                    file: Some(temporary(folder).map_err(problem)?),
                    target,
                };
                Sink::Beside(beside)
            }
        };
        Ok(Self {
            path: path.to_path_buf(),
            sink,
        })
    }

    /// The path asked for.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes everything and puts the file in its place.
    ///
    /// # Errors
    ///
    /// When writing fails; the file is then as it was before.
    pub fn commit(self, bytes: &[u8]) -> Result<()> {
        let problem = |source| Error::io("write", &self.path)(source);
        match self.sink {
            Sink::Direct(mut file) => file.write_all(bytes).map_err(problem),
            Sink::Beside(mut beside) => beside.finish(bytes).map_err(problem),
        }
    }
}

impl Beside {
    fn finish(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
            // Else a crash of the machine soon after could leave an empty file under the final name.
            file.as_file().sync_data()?;
        }
        let mut paths = unfinished();
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let name = file.path().to_path_buf();
        // On failure the error holds the file, and dropping that removes it.
        let done = file.persist(&self.target).map(drop).map_err(|e| e.error);
        paths.remove(&name);
        done
    }
}

/// A fresh temporary file in `folder`, with room for at least [`PROBE`].
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".diffuser-").suffix(".part");
    // The default is to hide temporary files from other users; this one becomes an ordinary file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut paths = unfinished();
    let mut file = builder.tempfile_in(folder)?;
    paths.insert(file.path().to_path_buf());
    drop(paths);
    let probed = file
        .write_all(&PROBE)
        .and_then(|()| file.as_file().set_len(0))
        .and_then(|()| file.seek(SeekFrom::Start(0)));
    if let Err(e) = probed {
        unfinished().remove(file.path());
        return Err(e);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn writes_whole_files_and_replaces_old_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for text in ["first", "2"] {
            AtomicFile::create(&path)
                .unwrap()
                .commit(text.as_bytes())
                .unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn dropped_unfinished_leaves_nothing_and_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        let file = AtomicFile::create(&path).unwrap();
        assert_eq!(names(folder.path()).len(), 2);
        drop(file);
        assert_eq!(names(folder.path()), ["a"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    }

    #[test]
    fn missing_folders_and_folders_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let missing = AtomicFile::create(&folder.path().join("no/a")).unwrap_err();
        assert!(missing.to_string().ends_with("no does not exist"));
        let is_folder = AtomicFile::create(folder.path()).unwrap_err();
        assert!(
            is_folder
                .to_string()
                .ends_with("cannot be written: it is a folder")
        );
        assert!(AtomicFile::create(Path::new("")).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_refused_at_once() {
        let line = AtomicFile::create(Path::new("/dev/full"))
            .unwrap_err()
            .to_string();
        assert_eq!(line, "cannot write /dev/full: No space left on device");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_permissions_are_ordinary() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        AtomicFile::create(&link).unwrap().commit(b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
        // What an ordinary new file gets under this process's umask.
        let plain = folder.path().join("plain");
        fs::write(&plain, "").unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode();
        assert_eq!(mode(&real), mode(&plain));
    }
}
