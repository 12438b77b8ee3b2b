//! Reads `hw/isa.toml` and refuses what cannot be built. Errors are one line.

use std::collections::BTreeSet;

use serde::Deserialize;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Isa {
    pub version: u32,
    pub descriptor: DescriptorSize,
    #[serde(rename = "unit")]
    pub units: Vec<Unit>,
    #[serde(rename = "space")]
    pub spaces: Vec<Space>,
    pub common: Vec<Field>,
    #[serde(rename = "op")]
    pub ops: Vec<Op>,
    #[serde(rename = "head")]
    pub heads: Vec<Block>,
    #[serde(rename = "entry")]
    pub entries: Vec<Block>,
    #[serde(rename = "register")]
    pub registers: Vec<Register>,
    #[serde(rename = "error")]
    pub errors: Vec<ErrorCode>,
    #[serde(default, rename = "peripheral")]
    pub peripherals: Vec<Peripheral>,
}

/// A unit with a register block of its own; its page is `docs/NAME.md`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peripheral {
    pub name: String,
    pub doc: String,
    #[serde(rename = "register")]
    pub registers: Vec<Register>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescriptorSize {
    pub words: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    pub name: String,
    pub doc: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    pub name: String,
    pub value: u32,
    pub doc: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorCode {
    pub name: String,
    pub code: u32,
    pub doc: String,
}

/// A field of a descriptor (words of 32 bits) or of a parameter block (entries of 64).
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub name: String,
    /// Word and lowest bit.
    pub at: [u32; 2],
    pub width: u32,
    #[serde(default)]
    pub signed: bool,
    #[serde(default)]
    pub flag: bool,
    min: Option<i64>,
    max: Option<i64>,
    pub doc: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Op {
    pub name: String,
    pub opcode: u32,
    pub unit: String,
    pub doc: String,
    #[serde(default, rename = "field")]
    pub fields: Vec<Field>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    pub name: String,
    pub entries: usize,
    pub doc: String,
    #[serde(rename = "field")]
    pub fields: Vec<Field>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    pub name: String,
    pub offset: u32,
    pub access: String,
    #[serde(default)]
    pub reset: u32,
    /// The value at reset is that of the configuration that was built.
    #[serde(default)]
    pub configured: bool,
    pub doc: String,
    #[serde(default, rename = "field")]
    pub fields: Vec<RegisterField>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterField {
    pub name: String,
    pub lsb: u32,
    pub width: u32,
    pub doc: String,
}

impl Field {
    /// Smallest and largest value that the bits can hold.
    pub fn limits(&self) -> (i128, i128) {
        if self.signed {
            (-(1 << (self.width - 1)), (1 << (self.width - 1)) - 1)
        } else {
            (0, (1 << self.width) - 1)
        }
    }

    /// Smallest value allowed.
    pub fn min(&self) -> i128 {
        self.min.map_or(self.limits().0, i128::from)
    }

    /// Largest value allowed.
    pub fn max(&self) -> i128 {
        self.max.map_or(self.limits().1, i128::from)
    }
}

/// Parse and check.
pub fn parse(text: &str) -> Result<Isa, String> {
    let isa: Isa = toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(1, |s| 1 + text[..s.start].lines().count());
        let message = e.message().lines().collect::<Vec<_>>().join(" ");
        format!("near line {line}: {message}")
    })?;
    isa.check()?;
    Ok(isa)
}

/// Bits of the opcode, which the descriptor begins with.
pub const OPCODE_WIDTH: u32 = 8;

/// Bits of the number of a space.
pub const SPACE_WIDTH: u32 = 3;

/// Bits of an error's code.
pub const ERROR_WIDTH: u32 = 4;

/// Bits of the number of a unit.
pub const UNIT_WIDTH: u32 = 3;

/// Value of `ERROR.unit` that stands for the sequencer.
pub const SEQUENCER: usize = 7;

impl Isa {
    fn check(&self) -> Result<(), String> {
        unique("unit", self.units.iter().map(|u| &u.name))?;
        unique("space", self.spaces.iter().map(|s| &s.name))?;
        unique("space value", self.spaces.iter().map(|s| s.value))?;
        unique("op", self.ops.iter().map(|o| &o.name))?;
        unique("opcode", self.ops.iter().map(|o| o.opcode))?;
        unique("head", self.heads.iter().map(|h| &h.name))?;
        unique("entry", self.entries.iter().map(|e| &e.name))?;
        unique("peripheral", self.peripherals.iter().map(|p| &p.name))?;
        check_registers("", &self.registers)?;
        unique("error", self.errors.iter().map(|e| &e.name))?;
        unique("error code", self.errors.iter().map(|e| e.code))?;
        let lower = [
            self.units.iter().map(|x| &x.name).collect::<Vec<_>>(),
            self.spaces.iter().map(|x| &x.name).collect(),
            self.heads.iter().map(|x| &x.name).collect(),
            self.entries.iter().map(|x| &x.name).collect(),
            self.ops.iter().map(|x| &x.name).collect(),
            self.errors.iter().map(|x| &x.name).collect(),
        ];
        for name in lower.iter().flatten() {
            check_name(name, name, false)?;
        }
        if self.units.len() > SEQUENCER {
            return Err(format!("more than {SEQUENCER} units"));
        }
        match self.common.first() {
            Some(f) if f.name == "opcode" && f.at == [0, 0] && f.width == OPCODE_WIDTH => {}
            _ => return Err("the first common field is not an opcode of 8 bits at 0, 0".into()),
        }
        for (what, name, value, bits) in [
            self.spaces
                .iter()
                .map(|s| ("space", &s.name, s.value, SPACE_WIDTH))
                .collect::<Vec<_>>(),
            self.errors
                .iter()
                .map(|e| ("error", &e.name, e.code, ERROR_WIDTH))
                .collect(),
        ]
        .into_iter()
        .flatten()
        {
            if value >> bits != 0 {
                return Err(format!(
                    "{what} {name}: {value} needs more than {bits} bits"
                ));
            }
        }
        for op in &self.ops {
            if op.opcode >> OPCODE_WIDTH != 0 {
                return Err(format!(
                    "op {}: opcode {} needs more than 8 bits",
                    op.name, op.opcode
                ));
            }
            if op.unit != "none" && self.units.iter().all(|u| u.name != op.unit) {
                return Err(format!("op {}: no unit is called {}", op.name, op.unit));
            }
            let fields = [&self.common[..], &op.fields].concat();
            check_fields(
                &format!("op {}", op.name),
                &fields,
                self.descriptor.words,
                32,
            )?;
        }
        for (kind, blocks) in [("head", &self.heads), ("entry", &self.entries)] {
            for b in blocks {
                check_fields(&format!("{kind} {}", b.name), &b.fields, b.entries, 64)?;
            }
        }
        if let Some(r) = self.registers.iter().find(|r| r.name == "VERSION")
            && r.reset != self.version
        {
            return Err(format!(
                "register VERSION: reset is {}, the file's version {}",
                r.reset, self.version
            ));
        }
        self.peripherals.iter().try_for_each(|p| {
            check_name("peripheral", &p.name, false)?;
            check_registers(&format!("{}: ", p.name), &p.registers)
        })
    }
}

/// One block of registers; `block` is written before their names.
fn check_registers(block: &str, registers: &[Register]) -> Result<(), String> {
    unique(
        &format!("{block}register"),
        registers.iter().map(|r| &r.name),
    )?;
    let offsets = registers.iter().map(|r| format!("{:#05x}", r.offset));
    unique(&format!("{block}register offset"), offsets)?;
    registers.iter().try_for_each(|r| check_register(block, r))
}

fn check_register(block: &str, r: &Register) -> Result<(), String> {
    let place = format!("{block}register {}", r.name);
    check_name(&place, &r.name, true)?;
    if !r.offset.is_multiple_of(4) || r.offset >= 1 << 12 {
        return Err(format!(
            "{place}: offset {:#x} is not a multiple of 4 under 0x1000",
            r.offset
        ));
    }
    if !["ro", "rw", "wo", "w1c"].contains(&r.access.as_str()) {
        return Err(format!(
            "{place}: access {} is none of ro, rw, wo, w1c",
            r.access
        ));
    }
    unique(&format!("{place}: field"), r.fields.iter().map(|f| &f.name))?;
    let bits = r
        .fields
        .iter()
        .map(|f| (f.name.as_str(), 0, f.lsb, f.width));
    check_bits(&place, bits, 1, 32)
}

fn check_fields(place: &str, fields: &[Field], words: usize, bits: u32) -> Result<(), String> {
    unique(&format!("{place}: field"), fields.iter().map(|f| &f.name))?;
    let layout = fields
        .iter()
        .map(|f| (f.name.as_str(), f.at[0], f.at[1], f.width));
    check_bits(place, layout, words, bits)?;
    for f in fields {
        let field = format!("{place}: field {}", f.name);
        let (low, high) = f.limits();
        if f.flag && (f.width != 1 || f.signed) {
            return Err(format!("{field}: a flag is one bit without a sign"));
        }
        if f.width > 32 && f.width != 64 {
            return Err(format!(
                "{field}: width {} is neither 1 to 32 nor 64",
                f.width
            ));
        }
        if f.min() < low || f.max() > high || f.min() > f.max() {
            return Err(format!(
                "{field}: range {} to {} is empty or leaves the {low} to {high} of its bits",
                f.min(),
                f.max()
            ));
        }
        if !f.signed && f.min() < 0 || f.signed && f.width == 1 {
            return Err(format!("{field}: a sign does not fit"));
        }
    }
    Ok(())
}

/// Fields as name, word, lowest bit, width: inside `words` words of `bits` bits, without overlap.
fn check_bits<'a>(
    place: &str,
    fields: impl Iterator<Item = (&'a str, u32, u32, u32)>,
    words: usize,
    bits: u32,
) -> Result<(), String> {
    let mut owner = vec![None; words * bits as usize];
    for (name, word, lsb, width) in fields {
        let field = format!("{place}: field {name}");
        check_name(&field, name, false)?;
        if width == 0 || lsb.saturating_add(width) > bits || word as usize >= words {
            return Err(format!(
                "{field}: {width} bits at word {word}, bit {lsb} leave {words} words of {bits} bits"
            ));
        }
        for bit in lsb..lsb + width {
            let bit = &mut owner[(word * bits + bit) as usize];
            if let Some(other) = bit.replace(name) {
                return Err(format!("{field} overlaps {other} in word {word}"));
            }
        }
    }
    Ok(())
}

fn unique<T: Ord + ToString>(what: &str, items: impl Iterator<Item = T>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for item in items {
        let text = item.to_string();
        if !seen.insert(item) {
            return Err(format!("{what} {text} is there twice"));
        }
    }
    Ok(())
}

/// Keywords of Rust and SystemVerilog that a name of this file could be; fields keep their names there.
const KEYWORDS: &str = "alias always and as assert assign assume async await before begin bind bins binsof bit box \
    break buf byte case cell chandle checker class clocking config const constraint context continue cover cross \
    crate deassign default define defparam design disable dist do dyn edge else enum event eventually expect \
    export extends extern final first_match fn for force foreach forever fork forkjoin function generate genvar \
    global highz0 if iff ifnone impl implements import in incdir include initial inout input inside instance int \
    integer interconnect interface intersect join large let liblist library local logic longint macro match \
    matches medium mod modport module move mut nand negedge new nexttime nor not notif0 null or output override \
    package packed parameter posedge primitive priority priv program property protected pub pull0 pulldown pullup \
    pulsestyle pure rand randc randcase randsequence real realtime ref reg reject_on release repeat restrict \
    return scalared self sequence shortint shortreal showcancelled signed small soft solve specify specparam \
    static string strong struct super supply0 table tagged task this throughout time timeprecision timeunit tran \
    trait tri trireg try type typedef typeof union unique unsafe unsigned unsized until untyped use var vectored \
    virtual void wait wand weak where while wildcard wire with within wor xnor xor yield";

fn check_name(place: &str, name: &str, upper: bool) -> Result<(), String> {
    let fits = |c: char| {
        c == '_'
            || c.is_ascii_digit()
            || if upper {
                c.is_ascii_uppercase()
            } else {
                c.is_ascii_lowercase()
            }
    };
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts || !name.chars().all(fits) || name.ends_with('_') || name.contains("__") {
        let case = if upper { "UPPER_CASE" } else { "lower_case" };
        return Err(format!("{place}: name {name:?} is not {case}"));
    }
    // an operation's or register's name only becomes part of another
    if place.contains(": field") && KEYWORDS.split_whitespace().any(|k| k == name) {
        return Err(format!(
            "{place}: the name is a keyword of Rust or SystemVerilog"
        ));
    }
    Ok(())
}
