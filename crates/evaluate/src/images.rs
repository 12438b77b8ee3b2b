//! Sets of real images: a folder of files, or Parquet as Hugging Face packs data sets.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::{Type, TypePtr};

use crate::error::{Error, Result};
use crate::picture::Picture;
use crate::sha256_hex;

/// Files of a folder that count as images.
const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// A set of real images.
#[derive(Clone, Debug)]
pub struct Images {
    path: PathBuf,
    files: Files,
    filters: Vec<Filter>,
}

#[derive(Clone, Debug)]
enum Files {
    Pictures(Vec<PathBuf>),
    Parquet(Vec<PathBuf>),
}

/// Keeps the rows of a Parquet file whose `column` reads `value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Name of the column.
    pub column: String,
    /// Its value as text: `false`, `3`, `noto`.
    pub value: String,
}

impl std::str::FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.split_once('=') {
            Some((column, value)) if !column.is_empty() => Ok(Self {
                column: column.into(),
                value: value.into(),
            }),
            _ => Err("expected COLUMN=VALUE".into()),
        }
    }
}

impl Images {
    /// Finds the images of `path`: a folder of PNG and JPEG files, one of Parquet files, or one Parquet file.
    ///
    /// # Errors
    ///
    /// When there are none, or filters are given for a folder of pictures, which has no columns.
    pub fn open(path: &Path, filters: Vec<Filter>) -> Result<Self> {
        let files = if path.is_dir() {
            let entries = fs::read_dir(path).map_err(Error::io("read", path))?;
            let mut all = entries
                .map(|e| e.map(|e| e.path()))
                .collect::<std::io::Result<Vec<_>>>()
                .map_err(Error::io("read", path))?;
            all.sort();
            let (parquet, rest): (Vec<_>, Vec<_>) = all
                .into_iter()
                .partition(|p| has_extension(p, &["parquet"]));
            if parquet.is_empty() {
                let wanted = rest.into_iter().filter(|p| has_extension(p, &EXTENSIONS));
                Files::Pictures(wanted.collect())
            } else {
                Files::Parquet(parquet)
            }
        } else {
            File::open(path).map_err(Error::io("read", path))?;
            Files::Parquet(vec![path.to_path_buf()])
        };
        match &files {
            Files::Pictures(found) if found.is_empty() => Err(Error::file(
                path,
                "no images: expected .png, .jpg or .parquet files",
            )),
            Files::Pictures(_) if !filters.is_empty() => Err(Error::file(
                path,
                "a folder of images has no columns to filter by",
            )),
            _ => Ok(Self {
                path: path.to_path_buf(),
                files,
                filters,
            }),
        }
    }

    /// Where they lie.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A text that tells this set from others: names or content of its files, and the filters.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn identity(&self) -> Result<String> {
        let mut text = String::new();
        match &self.files {
            Files::Pictures(files) => {
                for file in files {
                    text += &format!("{}\n", file.file_name().unwrap_or_default().display());
                }
            }
            Files::Parquet(files) => {
                for file in files {
                    let bytes = fs::read(file).map_err(Error::io("read", file))?;
                    text += &format!("{}\n", sha256_hex(&bytes));
                }
            }
        }
        for Filter { column, value } in &self.filters {
            text += &format!("{column}={value}\n");
        }
        Ok(sha256_hex(text.as_bytes()))
    }

    /// Gives every image to `visit`, in order.
    ///
    /// # Errors
    ///
    /// When one cannot be read, or what `visit` returns.
    pub fn read<E: From<Error>>(
        &self,
        visit: &mut dyn FnMut(Picture) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        match &self.files {
            Files::Pictures(files) => {
                for file in files {
                    let bytes = fs::read(file).map_err(Error::io("read", file))?;
                    visit(Picture::decode(&bytes).map_err(|e| Error::file(file, e))?)?;
                }
                Ok(())
            }
            Files::Parquet(files) => files.iter().try_for_each(|f| self.read_parquet(f, visit)),
        }
    }

    fn read_parquet<E: From<Error>>(
        &self,
        path: &Path,
        visit: &mut dyn FnMut(Picture) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let bad = |e: parquet::errors::ParquetError| Error::file(path, e);
        let file = File::open(path).map_err(Error::io("read", path))?;
        let reader = SerializedFileReader::new(file).map_err(bad)?;
        let projection = self.projection(path, reader.metadata().file_metadata().schema())?;
        let rows = reader.get_row_iter(Some(projection)).map_err(bad)?;
        for (number, row) in rows.enumerate() {
            let row = row.map_err(bad)?;
            if !self.filters.iter().all(|f| f.keeps(&row)) {
                continue;
            }
            let wrong = |reason: &str| Error::file(path, format!("row {number}: {reason}"));
            let bytes = encoded(&row).ok_or_else(|| wrong("no image"))?;
            visit(Picture::decode(bytes).map_err(|e| wrong(&e))?)?;
        }
        Ok(())
    }

    /// The schema of the image column, which comes first, and of the columns that filters name.
    fn projection(&self, path: &Path, schema: &Type) -> Result<Type> {
        let columns = schema.get_fields();
        let is_image =
            |t: &&TypePtr| t.is_group() && t.get_fields().iter().any(|f| f.name() == "bytes");
        let image = columns.iter().find(is_image).ok_or_else(|| {
            Error::file(
                path,
                "no image column: expected a group with `bytes`, as Hugging Face packs images",
            )
        })?;
        let mut wanted = vec![Arc::clone(image)];
        for Filter { column, .. } in &self.filters {
            let named = columns
                .iter()
                .find(|t| t.name() == column && t.is_primitive());
            let named = named.ok_or_else(|| {
                let names: Vec<_> = columns
                    .iter()
                    .filter(|t| t.is_primitive())
                    .map(|t| t.name())
                    .collect();
                Error::file(
                    path,
                    format!(
                        "no column {column} to filter by; there are {}",
                        names.join(", ")
                    ),
                )
            })?;
            if !wanted.contains(named) {
                wanted.push(Arc::clone(named));
            }
        }
        Type::group_type_builder(schema.name())
            .with_fields(wanted)
            .build()
            .map_err(|e| Error::file(path, e))
    }
}

impl Filter {
    fn keeps(&self, row: &Row) -> bool {
        row.get_column_iter().any(|(name, field)| {
            let text = match field {
                Field::Str(text) => text.clone(),
                other => other.to_string(),
            };
            *name == self.column && text == self.value
        })
    }
}

fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    let extension = path.extension().and_then(|e| e.to_str());
    extension.is_some_and(|e| wanted.iter().any(|w| e.eq_ignore_ascii_case(w)))
}

/// The bytes of the image file in a row.
fn encoded(row: &Row) -> Option<&[u8]> {
    row.get_column_iter().find_map(|(_, field)| match field {
        Field::Group(group) => group
            .get_column_iter()
            .find_map(|(name, field)| match field {
                Field::Bytes(bytes) if name == "bytes" => Some(bytes.data()),
                _ => None,
            }),
        _ => None,
    })
}
