//! Fields of descriptors and parameter blocks as bits, and the macros that `generated.rs` is made of.

use core::fmt;

/// Where a field lies and what it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name, as in `hw/isa.toml`.
    pub name: &'static str,
    /// 32-bit word of a descriptor, or 64-bit entry of a parameter block.
    pub word: usize,
    /// Lowest bit in the word.
    pub lsb: u32,
    /// Bits, 1 to 64.
    pub width: u32,
    /// Smallest value; the field is in two's complement where it is negative.
    pub min: i128,
    /// Largest value.
    pub max: i128,
}

/// A value that its field cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Operation, head or entry.
    pub record: &'static str,
    /// Field and its range.
    pub field: Field,
    /// The value.
    pub value: i128,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Field { name, min, max, .. } = self.field;
        let (record, value) = (self.record, self.value);
        write!(f, "{record}: {name} is {value}, expected {min} to {max}")
    }
}

impl core::error::Error for FieldError {}

/// Words that are no descriptor, or entries that are no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// No operation has this opcode.
    Opcode(u32),
    /// Bits that no field covers are not zero.
    Reserved {
        /// Operation, head or entry.
        record: &'static str,
        /// Word or entry.
        word: usize,
        /// The bits that should be zero.
        bits: u64,
    },
    /// A field holds a value outside its range.
    Field(FieldError),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opcode(code) => write!(f, "unknown opcode {code}"),
            Self::Reserved { record, word, bits } => {
                write!(
                    f,
                    "{record}: reserved bits {bits:#x} of word {word} are not zero"
                )
            }
            Self::Field(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for DecodeError {}

impl From<FieldError> for DecodeError {
    fn from(e: FieldError) -> Self {
        Self::Field(e)
    }
}

/// A struct of generated fields.
pub trait Record: Sized {
    /// Name, as in `hw/isa.toml`.
    const NAME: &'static str;
    /// Fields, in the order of the struct.
    const FIELDS: &'static [Field];

    /// Value of `FIELDS[index]`.
    fn value(&self, index: usize) -> i128;

    /// The record whose fields hold what `read` returns for them.
    ///
    /// # Errors
    /// Those of `read`.
    fn build<E>(read: impl FnMut(&'static Field) -> Result<i128, E>) -> Result<Self, E>;
}

/// What the fields of a record are made of.
pub(crate) trait Value {
    fn to_wide(&self) -> i128;
    /// Only for values in the range of the field, which the generator fits to the type.
    fn from_wide(x: i128) -> Self
    where
        Self: Sized;
}

macro_rules! integer_value {
    ($($ty:ty)*) => {$(
        impl Value for $ty {
            fn to_wide(&self) -> i128 {
                i128::from(*self)
            }
            fn from_wide(x: i128) -> Self {
                x as $ty
            }
        }
    )*};
}
integer_value!(u32 i32 u64 i64);

impl Value for bool {
    fn to_wide(&self) -> i128 {
        i128::from(*self)
    }
    fn from_wide(x: i128) -> Self {
        x != 0
    }
}

fn mask(width: u32) -> u64 {
    u64::MAX >> (64 - width)
}

fn check(record: &'static str, field: &Field, value: i128) -> Result<i128, FieldError> {
    if (field.min..=field.max).contains(&value) {
        Ok(value)
    } else {
        Err(FieldError {
            record,
            field: *field,
            value,
        })
    }
}

/// Write the fields of `record` into `words`, which are zero there.
pub(crate) fn put<R: Record>(record: &R, words: &mut [u64]) -> Result<(), FieldError> {
    for (i, field) in R::FIELDS.iter().enumerate() {
        let value = check(R::NAME, field, record.value(i))?;
        words[field.word] |= (value as u64 & mask(field.width)) << field.lsb;
    }
    Ok(())
}

/// Read a record out of `words`.
pub(crate) fn get<R: Record>(words: &[u64]) -> Result<R, FieldError> {
    R::build(|field| {
        let raw = words[field.word] >> field.lsb & mask(field.width);
        let negative = field.min < 0 && raw >> (field.width - 1) & 1 == 1;
        let value = i128::from(raw) - if negative { 1 << field.width } else { 0 };
        check(R::NAME, field, value)
    })
}

/// An error where `words` have bits that none of `fields` covers.
pub(crate) fn reserved_are_zero(
    record: &'static str,
    words: &[u64],
    fields: &[&[Field]],
) -> Result<(), DecodeError> {
    for (word, &value) in words.iter().enumerate() {
        let fields = fields.iter().copied().flatten().filter(|f| f.word == word);
        let used = fields.fold(0, |used, f| used | mask(f.width) << f.lsb);
        if value & !used != 0 {
            let bits = value & !used;
            return Err(DecodeError::Reserved { record, word, bits });
        }
    }
    Ok(())
}

/// A struct of fields, each `name: type = word, lsb, width, range;`.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident $text:literal {
        $($(#[$field_doc:meta])* $field:ident: $ty:ty = $word:literal, $lsb:literal, $width:literal, $min:literal..=$max:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $ty,)*
        }

        impl $crate::bits::Record for $name {
            const NAME: &'static str = $text;
            const FIELDS: &'static [$crate::bits::Field] = &[$($crate::bits::Field {
                name: stringify!($field),
                word: $word,
                lsb: $lsb,
                width: $width,
                min: $min,
                max: $max,
            },)*];

            fn value(&self, index: usize) -> i128 {
                let values: &[&dyn $crate::bits::Value] = &[$(&self.$field,)*];
                values[index].to_wide()
            }

            fn build<E>(
                #[allow(unused_mut, unused_variables, reason = "a record may have no fields")]
                mut read: impl FnMut(&'static $crate::bits::Field) -> Result<i128, E>,
            ) -> Result<Self, E> {
                #[allow(unused_mut, unused_variables, reason = "a record may have no fields")]
                let mut fields = Self::FIELDS.iter();
                Ok(Self {
                    $($field: $crate::bits::Value::from_wide(read(fields.next().expect("one for each"))?),)*
                })
            }
        }
    };
}

/// A record in parameter memory, with `encode` and `decode`.
macro_rules! parameters {
    ($(#[$doc:meta])* $name:ident $text:literal $entries:literal { $($fields:tt)* }) => {
        $crate::bits::record! { $(#[$doc])* $name $text { $($fields)* } }

        impl $name {
            /// Entries of 64 bits.
            pub const ENTRIES: usize = $entries;

            /// As entries of the parameter memory.
            ///
            /// # Errors
            /// When a value is outside the range of its field.
            pub fn encode(&self) -> Result<[u64; $entries], $crate::FieldError> {
                let mut words = [0; $entries];
                $crate::bits::put(self, &mut words)?;
                Ok(words)
            }

            /// The inverse of [`Self::encode`].
            ///
            /// # Errors
            /// When reserved bits are set or a value is outside the range of its field.
            pub fn decode(words: &[u64; $entries]) -> Result<Self, $crate::DecodeError> {
                let fields = <Self as $crate::Record>::FIELDS;
                $crate::bits::reserved_are_zero($text, words, &[fields])?;
                Ok($crate::bits::get(words)?)
            }
        }
    };
}

/// All operations: a record each, and the enum [`Op`](crate::Op) and the struct `Descriptor` over them.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident $text:literal $opcode:literal ($unit:expr) { $($fields:tt)* })*) => {
        $($crate::bits::record! { $(#[$doc])* $name $text { $($fields)* } })*

        /// An operation and its fields.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Op {
            $($(#[$doc])* $name($name),)*
        }

        impl Op {
            /// Name, as in `hw/isa.toml`.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $text,)*
                }
            }

            /// Opcode.
            #[must_use]
            pub const fn opcode(&self) -> u32 {
                match self {
                    $(Self::$name(_) => $opcode,)*
                }
            }

            /// Unit that executes it; none for what the sequencer does itself.
            #[must_use]
            pub const fn unit(&self) -> Option<Unit> {
                match self {
                    $(Self::$name(_) => $unit,)*
                }
            }

            /// Fields and their values.
            pub fn fields(&self) -> impl Iterator<Item = (&'static Field, i128)> {
                let fields = match self {
                    $(Self::$name(_) => <$name as Record>::FIELDS,)*
                };
                let values = fields.iter().enumerate().map(|(i, field)| {
                    let value = match self {
                        $(Self::$name(op) => op.value(i),)*
                    };
                    (field, value)
                });
                values
            }
        }

        /// A descriptor: what to wait for, and what to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Descriptor {
            /// Fields that every operation has.
            pub common: Common,
            /// The operation.
            pub op: Op,
        }

        impl Descriptor {
            /// As words of 32 bits.
            ///
            /// # Errors
            /// When a value is outside the range of its field.
            pub fn encode(&self) -> Result<[u32; DESCRIPTOR_WORDS], $crate::FieldError> {
                let mut words = [0; DESCRIPTOR_WORDS];
                words[OPCODE.word] = u64::from(self.op.opcode()) << OPCODE.lsb;
                $crate::bits::put(&self.common, &mut words)?;
                match &self.op {
                    $(Op::$name(op) => $crate::bits::put(op, &mut words)?,)*
                }
                Ok(words.map(|w| w as u32))
            }

            /// The inverse of [`Self::encode`].
            ///
            /// # Errors
            /// When the opcode is unknown, reserved bits are set, or a value is outside the range of
            /// its field.
            pub fn decode(words: &[u32; DESCRIPTOR_WORDS]) -> Result<Self, $crate::DecodeError> {
                let words = &words.map(u64::from);
                let opcode = words[OPCODE.word] >> OPCODE.lsb & ((1 << OPCODE.width) - 1);
                let common = <Common as Record>::FIELDS;
                let op = match opcode {
                    $($opcode => {
                        let fields = [&[OPCODE], common, <$name as Record>::FIELDS];
                        $crate::bits::reserved_are_zero($text, words, &fields)?;
                        Op::$name($crate::bits::get(words)?)
                    })*
                    _ => return Err($crate::DecodeError::Opcode(opcode as u32)),
                };
                Ok(Self { common: $crate::bits::get(words)?, op })
            }
        }
    };
}

/// An enum with names and values.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident $text:literal $value:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$item_doc])* $item = $value,)*
        }

        impl $name {
            /// All, by value.
            pub const ALL: &'static [Self] = &[$(Self::$item,)*];

            /// Name, as in `hw/isa.toml`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$item => $text,)*
                }
            }

            /// The one with this value, if there is one.
            #[must_use]
            pub const fn from_value(value: u32) -> Option<Self> {
                match value {
                    $($value => Some(Self::$item),)*
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use {numbered, operations, parameters, record};
