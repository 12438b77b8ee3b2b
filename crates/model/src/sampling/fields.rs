//! Fields of a JSON object, each read once, with errors that name it.

use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::SamplingError;

/// An object whose fields are taken one by one.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    taken: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(object: &'a Map<String, Value>) -> Self {
        Self {
            object,
            taken: Vec::new(),
        }
    }

    /// The field, unless absent or null.
    fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.taken.push(name);
        self.object.get(name).filter(|v| !v.is_null())
    }

    /// One of an enumeration's names.
    pub(super) fn choice<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        default: T,
    ) -> Result<T, SamplingError> {
        let Some(value) = self.take(name) else {
            return Ok(default);
        };
        T::deserialize(value).map_err(|e| refuse(name, value, &names_in(&e.to_string())))
    }

    pub(super) fn flag(
        &mut self,
        name: &'static str,
        default: bool,
    ) -> Result<bool, SamplingError> {
        let Some(value) = self.take(name) else {
            return Ok(default);
        };
        value
            .as_bool()
            .ok_or_else(|| refuse(name, value, "true or false"))
    }

    pub(super) fn integer(
        &mut self,
        name: &'static str,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> Result<u32, SamplingError> {
        let Some(value) = self.take(name) else {
            return Ok(default);
        };
        let integer = value.as_u64().and_then(|v| u32::try_from(v).ok());
        integer.filter(|v| range.contains(v)).ok_or_else(|| {
            refuse(
                name,
                value,
                &format!("an integer in {}..={}", range.start(), range.end()),
            )
        })
    }

    pub(super) fn number(
        &mut self,
        name: &'static str,
        default: f64,
        valid: impl Fn(f64) -> bool,
        expected: &str,
    ) -> Result<f64, SamplingError> {
        let Some(value) = self.take(name) else {
            return Ok(default);
        };
        value
            .as_f64()
            .filter(|&v| valid(v))
            .ok_or_else(|| refuse(name, value, expected))
    }

    /// A list of `length` numbers, or nothing.
    pub(super) fn numbers(
        &mut self,
        name: &'static str,
        length: usize,
        valid: impl Fn(f64) -> bool,
        expected: &str,
    ) -> Result<Option<Vec<f64>>, SamplingError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let Some(list) = value.as_array() else {
            return Err(refuse(name, value, "a list of numbers"));
        };
        if list.len() != length {
            return Err(SamplingError::Field {
                field: name.into(),
                value: format!("a list of {} entries", list.len()),
                expected: format!("{length}, one per training time step"),
            });
        }
        let numbers = list.iter().enumerate().map(|(i, value)| {
            let number = value.as_f64().filter(|&v| valid(v));
            number.ok_or_else(|| refuse(&format!("{name}[{i}]"), value, expected))
        });
        numbers.collect::<Result<_, _>>().map(Some)
    }

    /// A finite number, or nothing for minus infinity as Python spells it.
    pub(super) fn lower_limit(&mut self, name: &'static str) -> Result<Option<f64>, SamplingError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        if value == "-Infinity" || value == "-inf" {
            return Ok(None);
        }
        value
            .as_f64()
            .map(Some)
            .ok_or_else(|| refuse(name, value, "a number or -Infinity"))
    }

    /// Refuses a field with any value but `supported`.
    pub(super) fn only(
        &mut self,
        name: &'static str,
        supported: &Value,
    ) -> Result<(), SamplingError> {
        match self.take(name) {
            Some(value) if value != supported => Err(refuse(name, value, &supported.to_string())),
            _ => Ok(()),
        }
    }

    /// Refuses fields that were neither taken nor are listed in `without_effect`, except private
    /// ones (`_...`) and those that are off (null or false).
    pub(super) fn finish(self, without_effect: &[&str]) -> Result<(), SamplingError> {
        for (name, value) in self.object {
            let known = self.taken.contains(&name.as_str())
                || without_effect.contains(&name.as_str())
                || name.starts_with('_')
                || matches!(value, Value::Null | Value::Bool(false));
            if !known {
                return Err(refuse(name, value, "no such field, or null or false"));
            }
        }
        Ok(())
    }
}

fn refuse(field: &str, value: &Value, expected: &str) -> SamplingError {
    const LONGEST: usize = 60;
    let mut value = value.to_string();
    if value.chars().count() > LONGEST {
        value = value.chars().take(LONGEST).chain("...".chars()).collect();
    }
    SamplingError::Field {
        field: field.into(),
        value,
        expected: expected.into(),
    }
}

/// The names that serde lists in ``unknown variant `x`, expected one of `a`, `b` ``.
fn names_in(message: &str) -> String {
    match message.split_once("expected ") {
        Some((_, names)) if names.contains('`') => names.into(),
        _ => "a name".into(),
    }
}
