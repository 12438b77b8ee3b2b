//! Reads fields of a JSON object one by one, with their ranges, and knows which were never asked for.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::error::{Error, clip};

/// The fields of one object.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    seen: HashSet<String>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(map: &'a Map<String, Value>) -> Self {
        Fields {
            map,
            seen: HashSet::new(),
        }
    }

    /// The value of a field, `None` where it is absent; null is a value.
    pub(super) fn take(&mut self, field: &str) -> Option<&'a Value> {
        self.seen.insert(field.to_owned());
        self.map.get(field)
    }

    /// The error for a field's present value.
    pub(super) fn refused(&self, field: &str, expected: impl Into<String>) -> Error {
        let value = self.map.get(field).unwrap_or(&Value::Null);
        Error::field(field, value, expected)
    }

    /// Index of the field's value among those allowed.
    pub(super) fn one_of(
        &mut self,
        field: &str,
        allowed: &[Value],
        default: usize,
    ) -> Result<usize, Error> {
        let Some(value) = self.take(field) else {
            return Ok(default);
        };
        allowed.iter().position(|a| a == value).ok_or_else(|| {
            let names: Vec<_> = allowed.iter().map(Value::to_string).collect();
            self.refused(field, names.join(" or "))
        })
    }

    pub(super) fn flag(&mut self, field: &str, default: bool) -> Result<bool, Error> {
        match self.take(field) {
            None => Ok(default),
            Some(Value::Bool(b)) => Ok(*b),
            Some(_) => Err(self.refused(field, "true or false")),
        }
    }

    pub(super) fn number(&mut self, field: &str, default: f64) -> Result<f64, Error> {
        match self.take(field) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .ok_or_else(|| self.refused(field, "a number")),
        }
    }

    /// A whole number of `1..=max`; absent and without a default, it is refused as null.
    pub(super) fn count(
        &mut self,
        field: &str,
        default: Option<usize>,
        max: usize,
    ) -> Result<usize, Error> {
        match self.take(field) {
            None if default.is_some() => Ok(default.unwrap_or(1)),
            value => value
                .and_then(|v| whole(v, max))
                .ok_or_else(|| self.refused(field, format!("a whole number of 1 to {max}"))),
        }
    }

    /// As [`Fields::count`], null allowed.
    pub(super) fn optional_count(
        &mut self,
        field: &str,
        default: Option<usize>,
        max: usize,
    ) -> Result<Option<usize>, Error> {
        match self.take(field) {
            None => Ok(default),
            Some(Value::Null) => Ok(None),
            Some(_) => self.count(field, None, max).map(Some),
        }
    }

    /// A list of whole numbers of `1..=max`.
    pub(super) fn counts(
        &mut self,
        field: &str,
        default: &[usize],
        max: usize,
        max_len: usize,
    ) -> Result<Vec<usize>, Error> {
        let Some(value) = self.take(field) else {
            return Ok(default.to_vec());
        };
        let items = value
            .as_array()
            .filter(|a| (1..=max_len).contains(&a.len()));
        items
            .and_then(|items| items.iter().map(|v| whole(v, max)).collect())
            .ok_or_else(|| {
                self.refused(field, format!("1 to {max_len} whole numbers of 1 to {max}"))
            })
    }

    /// One number for a square, or height and width.
    pub(super) fn size(&mut self, field: &str, max: usize) -> Result<[usize; 2], Error> {
        let value = self.take(field).unwrap_or(&Value::Null);
        let size = match value {
            Value::Array(items) if items.len() == 2 => whole(&items[0], max)
                .zip(whole(&items[1], max))
                .map(|(h, w)| [h, w]),
            one => whole(one, max).map(|side| [side; 2]),
        };
        size.ok_or_else(|| {
            self.refused(
                field,
                format!("a whole number of 1 to {max}, or [height, width]"),
            )
        })
    }

    /// Refuses the first field that nobody asked for, unless it is private to `diffusers` (a leading
    /// underscore) or says that something is off.
    pub(super) fn refuse_unknown(&self) -> Result<(), Error> {
        let unknown = self.map.iter().find(|(name, value)| {
            !name.starts_with('_')
                && !self.seen.contains(*name)
                && !matches!(value, Value::Null | Value::Bool(false))
        });
        match unknown {
            None => Ok(()),
            Some((name, value)) => Err(Error::field(
                &clip(name),
                value,
                "no such field: it is unknown, and may change the network",
            )),
        }
    }
}

fn whole(value: &Value, max: usize) -> Option<usize> {
    let n = usize::try_from(value.as_u64()?).ok()?;
    (1..=max).contains(&n).then_some(n)
}
