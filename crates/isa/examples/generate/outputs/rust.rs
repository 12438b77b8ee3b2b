//! `crates/isa/src/generated.rs` and its modules: invocations of the macros in `bits.rs`, and constants of registers.

use std::fmt::Write;

use super::camel;
use super::source::{Block, Field, Isa, Peripheral, Register};

const MADE: &str =
    "// Made of hw/isa.toml by `cargo run -p diffuser-isa --example generate`; do not edit.\n";

/// The file, but for peripherals.
pub fn render(isa: &Isa) -> String {
    let mut out = format!(
        "{MADE}//! What `hw/isa.toml` says, as Rust.\n\n\
         use crate::bits::{{Field, Record, numbered, operations, parameters, record}};\n\n",
    );
    let words = isa.descriptor.words;
    line(
        &mut out,
        "/// Words of 32 bits of a descriptor, which is aligned to its size.",
    );
    line(
        &mut out,
        &format!("pub const DESCRIPTOR_WORDS: usize = {words};\n"),
    );

    let units = isa.units.iter().enumerate();
    let units: Vec<_> = units.map(|(i, u)| (&u.name, i as u32, &u.doc)).collect();
    numbered(
        &mut out,
        "What executes descriptors; the value is its bit in `waits`.",
        "Unit",
        &units,
    );
    let spaces: Vec<_> = isa
        .spaces
        .iter()
        .map(|s| (&s.name, s.value, &s.doc))
        .collect();
    numbered(
        &mut out,
        "Memories that a transfer can reach.",
        "Space",
        &spaces,
    );
    let errors: Vec<_> = isa
        .errors
        .iter()
        .map(|e| (&e.name, e.code, &e.doc))
        .collect();
    numbered(
        &mut out,
        "Codes of the register `ERROR`.",
        "ErrorCode",
        &errors,
    );

    let opcode = &isa.common[0];
    let (name, [word, lsb], width, max) = (&opcode.name, opcode.at, opcode.width, opcode.max());
    line(&mut out, &format!("/// {}", opcode.doc));
    line(&mut out, "pub const OPCODE: Field = Field {");
    for text in [
        format!("name: {name:?}"),
        format!("word: {word}"),
        format!("lsb: {lsb}"),
        format!("width: {width}"),
        "min: 0".into(),
        format!("max: {max}"),
    ] {
        line(&mut out, &format!("    {text},"));
    }
    line(&mut out, "};\n\nrecord! {");
    line(
        &mut out,
        "    /// Fields that every descriptor has, but for the opcode.",
    );
    line(&mut out, "    Common \"common\" {");
    fields(&mut out, "        ", &isa.common[1..]);
    line(&mut out, "    }\n}\n\noperations! {");
    for op in &isa.ops {
        let unit = match op.unit.as_str() {
            "none" => "None".to_owned(),
            unit => format!("Some(Unit::{})", camel(unit)),
        };
        line(&mut out, &format!("    /// {}", op.doc));
        line(
            &mut out,
            &format!(
                "    {} {:?} {} ({unit}) {{",
                camel(&op.name),
                op.name,
                op.opcode
            ),
        );
        fields(&mut out, "        ", &op.fields);
        line(&mut out, "    }");
    }
    line(&mut out, "}\n");
    for head in &isa.heads {
        parameters(&mut out, head, "Head", "Head of a parameter block");
    }
    for entry in &isa.entries {
        parameters(&mut out, entry, "", "Entry of a parameter block");
    }
    line(
        &mut out,
        "/// Registers: byte offsets, values at reset, fields as lowest bit and width.\npub mod register {",
    );
    registers(&mut out, "    ", &isa.registers);
    line(&mut out, "}");
    for p in &isa.peripherals {
        line(&mut out, &format!("\npub mod {};", p.name));
    }
    out
}

/// The file of a peripheral.
pub fn peripheral(p: &Peripheral) -> String {
    let mut out = format!(
        "{MADE}//! {} Registers as in [`super::register`].\n\n",
        p.doc
    );
    registers(&mut out, "", &p.registers);
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn numbered(out: &mut String, doc: &str, name: &str, items: &[(&String, u32, &String)]) {
    line(out, &format!("numbered! {{\n    /// {doc}\n    {name} {{"));
    for (item, value, doc) in items {
        line(
            out,
            &format!(
                "        /// {doc}\n        {} {item:?} {value}",
                camel(item)
            ),
        );
    }
    line(out, "    }\n}\n");
}

fn fields(out: &mut String, indent: &str, fields: &[Field]) {
    for f in fields {
        let ty = match (f.flag, f.signed, f.width) {
            (true, ..) => "bool",
            (_, false, ..=32) => "u32",
            (_, true, ..=32) => "i32",
            (_, false, _) => "u64",
            (_, true, _) => "i64",
        };
        let (min, max) = (f.min(), f.max());
        let [word, lsb] = f.at;
        line(out, &format!("{indent}/// {}", f.doc));
        line(
            out,
            &format!(
                "{indent}{}: {ty} = {word}, {lsb}, {}, {min}..={max};",
                f.name, f.width
            ),
        );
    }
}

fn parameters(out: &mut String, block: &Block, suffix: &str, what: &str) {
    line(
        out,
        &format!("parameters! {{\n    /// {what}. {}", block.doc),
    );
    let name = camel(&block.name) + suffix;
    line(
        out,
        &format!("    {name} {:?} {} {{", block.name, block.entries),
    );
    fields(out, "        ", &block.fields);
    line(out, "    }\n}\n");
}

fn registers(out: &mut String, indent: &str, registers: &[Register]) {
    let mut text = String::new();
    for r in registers {
        let (name, doc, offset) = (&r.name, &r.doc, r.offset);
        let _ = writeln!(
            text,
            "{indent}/// {doc}\n{indent}pub const {name}: u32 = {offset:#05x};"
        );
        if r.reset != 0 {
            let _ = writeln!(
                text,
                "{indent}/// `{name}` at reset.\n{indent}pub const {name}_RESET: u32 = {:#010x};",
                r.reset
            );
        }
        for f in &r.fields {
            let field = f.name.to_uppercase();
            let _ = writeln!(text, "{indent}/// `{name}.{}`: {}", f.name, f.doc);
            let _ = writeln!(
                text,
                "{indent}pub const {name}_{field}: (u32, u32) = ({}, {});",
                f.lsb, f.width
            );
        }
    }
    out.push_str(&text);
}
