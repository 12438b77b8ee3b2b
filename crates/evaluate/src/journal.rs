//! An append-only file of finished records, so that work that is killed goes on where it ended.
//!
//! A journal belongs to a *key*: a text that says everything that its records depend on. The file's
//! name holds the key's digest, and the file begins with the key itself. A record is an index, a
//! payload of a fixed number of bytes, and the CRC-32 of both:
//!
//! ```text
//! "DIFFJRN1"  length of the key, u32  key  payload bytes, u32  CRC-32 of all before, u32
//! index, u64  payload                                           CRC-32 of both, u32
//! ...
//! ```
//!
//! Numbers are little-endian. The first record that is cut off or does not fit its checksum ends what
//! is read: it and all after it are removed and made again. Records are a function of key and index,
//! so the file ends up the same however often the work was interrupted.
//!
//! An open journal is locked: another process that wants the same one waits, and then finds the
//! records there.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::sha256_hex;

const MAGIC: &[u8; 8] = b"DIFFJRN1";

/// Digits of the key's digest that a file's name has.
const NAME_DIGITS: usize = 24;

/// A journal that is open, and locked, for appending.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    payload: usize,
    records: BTreeMap<u64, Vec<u8>>,
}

/// What [`Journal::open`] found.
#[derive(Debug)]
pub struct Opened {
    /// The journal.
    pub journal: Journal,
    /// Bytes removed from its end: a record that was being written when the process was killed, or
    /// everything from one that is damaged.
    pub removed_bytes: u64,
}

impl Journal {
    /// Where the journal `kind` of `key` lies in `folder`.
    #[must_use]
    pub fn path(folder: &Path, kind: &str, key: &str) -> PathBuf {
        let digest = sha256_hex(format!("{kind}\n{key}").as_bytes());
        folder.join(format!("{kind}-{}.journal", &digest[..NAME_DIGITS]))
    }

    /// Opens the journal `kind` of `key` in `folder`; both are made if they do not exist. Each record
    /// has `payload` bytes. `waiting` is called if another process has the journal open, before this
    /// one waits for it.
    ///
    /// # Errors
    ///
    /// When the folder or the file cannot be made, read or written, or the file is no journal of this
    /// key.
    pub fn open(
        folder: &Path,
        kind: &str,
        key: &str,
        payload: usize,
        waiting: &dyn Fn(),
    ) -> Result<Opened> {
        fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
        let path = Self::path(folder, kind, key);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting();
                file.lock().map_err(Error::io("lock", &path))?;
            }
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", &path)(e)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(Error::io("read", &path))?;
        let header = header(key, payload);
        let mut records = BTreeMap::new();
        let mut good = header.len();
        if bytes.len() < header.len() && header.starts_with(&bytes) {
            // New, or killed before the header was there.
            file.seek(SeekFrom::Start(0))
                .and_then(|_| file.write_all(&header))
                .map_err(Error::io("write", &path))?;
            bytes.clear();
        } else if bytes.starts_with(&header) {
            for record in bytes[header.len()..].chunks(8 + payload + 4) {
                let Some((index, payload)) = parse(record, payload) else {
                    break;
                };
                records.insert(index, payload.to_vec());
                good += record.len();
            }
        } else {
            return Err(Error::file(
                &path,
                "not the journal that its name says; remove it, and its records are made again",
            ));
        }
        let removed_bytes = bytes.len().saturating_sub(good) as u64;
        file.set_len(good as u64)
            .and_then(|()| file.seek(SeekFrom::Start(good as u64)))
            .map_err(Error::io("write", &path))?;
        let journal = Self {
            file,
            path,
            payload,
            records,
        };
        Ok(Opened {
            journal,
            removed_bytes,
        })
    }

    /// The payload of a record, if there is one of that index.
    #[must_use]
    pub fn get(&self, index: u64) -> Option<&[u8]> {
        self.records.get(&index).map(Vec::as_slice)
    }

    /// Those of `wanted` that are not there, in their order.
    pub fn missing(&self, wanted: impl IntoIterator<Item = u64>) -> Vec<u64> {
        wanted
            .into_iter()
            .filter(|i| !self.records.contains_key(i))
            .collect()
    }

    /// Appends records and makes sure that they are on the disk.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    ///
    /// # Panics
    ///
    /// When a payload has another length than the journal's.
    pub fn append(&mut self, records: impl IntoIterator<Item = (u64, Vec<u8>)>) -> Result<()> {
        let records: Vec<_> = records.into_iter().collect();
        let mut bytes = Vec::with_capacity(records.len() * (8 + self.payload + 4));
        for (index, payload) in &records {
            assert_eq!(payload.len(), self.payload, "bytes of a record");
            let start = bytes.len();
            bytes.extend(index.to_le_bytes());
            bytes.extend(payload);
            bytes.extend(crc32fast::hash(&bytes[start..]).to_le_bytes());
        }
        self.file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_data())
            .map_err(Error::io("write", &self.path))?;
        self.records.extend(records);
        Ok(())
    }
}

fn header(key: &str, payload: usize) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend((key.len() as u32).to_le_bytes());
    header.extend(key.as_bytes());
    header.extend((payload as u32).to_le_bytes());
    header.extend(crc32fast::hash(&header).to_le_bytes());
    header
}

/// Index and payload of a record that is whole.
fn parse(record: &[u8], payload: usize) -> Option<(u64, &[u8])> {
    if record.len() != 8 + payload + 4 {
        return None;
    }
    let (body, checksum) = record.split_last_chunk::<4>()?;
    let (index, payload) = body.split_first_chunk::<8>()?;
    (crc32fast::hash(body).to_le_bytes() == *checksum)
        .then_some((u64::from_le_bytes(*index), payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path, key: &str) -> Result<Opened> {
        Journal::open(folder, "images", key, 3, &|| panic!("nobody else has it"))
    }

    fn record(index: u64) -> (u64, Vec<u8>) {
        (index, vec![index as u8; 3])
    }

    #[test]
    fn a_journal_cut_anywhere_goes_on_to_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = Journal::path(folder.path(), "images", "key");
        let whole = {
            let mut j = open(folder.path(), "key").unwrap().journal;
            j.append((0..4).map(record)).unwrap();
            fs::read(&path).unwrap()
        };
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let Opened {
                mut journal,
                removed_bytes,
            } = open(folder.path(), "key").unwrap();
            let missing = journal.missing(0..4);
            let start = whole.len() - 4 * 15;
            let kept = cut.saturating_sub(start) / 15;
            assert_eq!(missing.len(), 4 - kept, "cut at {cut}");
            if cut >= start {
                assert_eq!(removed_bytes as usize, (cut - start) % 15, "cut at {cut}");
            }
            journal.append(missing.into_iter().map(record)).unwrap();
            assert_eq!(journal.get(3), Some(&[3; 3][..]));
            drop(journal);
            assert_eq!(fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn damage_ends_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = Journal::path(folder.path(), "images", "key");
        open(folder.path(), "key")
            .unwrap()
            .journal
            .append((0..4).map(record))
            .unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let second = bytes.len() - 3 * 15;
        bytes[second + 9] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let opened = open(folder.path(), "key").unwrap();
        assert_eq!(opened.removed_bytes, 45);
        assert_eq!(opened.journal.missing(0..4), [1, 2, 3]);
    }

    #[test]
    fn another_key_is_another_file_and_foreign_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut j = open(folder.path(), "a").unwrap().journal;
        j.append([record(7)]).unwrap();
        assert_eq!(
            open(folder.path(), "b").unwrap().journal.missing([7]),
            [7],
            "records of `a` are not those of `b`"
        );
        fs::write(Journal::path(folder.path(), "images", "c"), "something").unwrap();
        let line = open(folder.path(), "c").unwrap_err().to_string();
        assert!(
            line.contains("not the journal that its name says"),
            "{line}"
        );
    }

    #[test]
    fn who_comes_second_waits_and_finds_the_records() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = open(folder.path(), "key").unwrap().journal;
        let (told, hears) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let waiting = || told.send(()).unwrap();
                Journal::open(folder.path(), "images", "key", 3, &waiting)
                    .unwrap()
                    .journal
            });
            hears.recv().unwrap();
            first.append([record(1)]).unwrap();
            drop(first);
            assert_eq!(second.join().unwrap().get(1), Some(&[1; 3][..]));
        });
    }
}
