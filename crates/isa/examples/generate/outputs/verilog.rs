//! `hw/rtl/pkg/diffuser_isa_pkg.sv`: the same as a SystemVerilog package, in lowRISC's style.

use std::fmt::Write;

use super::camel;
use super::source::{
    ERROR_WIDTH, Field, Isa, OPCODE_WIDTH, Register, SEQUENCER, SPACE_WIDTH, UNIT_WIDTH,
};

/// The file.
pub fn render(isa: &Isa) -> String {
    let mut out = String::from(
        "// Made of hw/isa.toml by `cargo run -p diffuser-isa --example generate`; do not edit.\n\
         // Descriptors and registers of the accelerator; meanings are in docs/isa.md.\n\n\
         package diffuser_isa_pkg;\n\n",
    );
    let bits = isa.descriptor.words * 32;
    let _ = writeln!(
        out,
        "  localparam int unsigned DescriptorWords = {};",
        isa.descriptor.words
    );
    let _ = writeln!(out, "  localparam int unsigned DescriptorBits = {bits};");
    let _ = writeln!(
        out,
        "  localparam int unsigned NumUnits = {};\n",
        isa.units.len()
    );

    let units = isa.units.iter().enumerate();
    let mut units: Vec<_> = units.map(|(i, u)| (u.name.as_str(), i as u32)).collect();
    units.push(("sequencer", SEQUENCER as u32));
    enumeration(&mut out, "unit", UNIT_WIDTH, &units);
    let ops: Vec<_> = isa
        .ops
        .iter()
        .map(|o| (o.name.as_str(), o.opcode))
        .collect();
    enumeration(&mut out, "opcode", OPCODE_WIDTH, &ops);
    let spaces: Vec<_> = isa
        .spaces
        .iter()
        .map(|s| (s.name.as_str(), s.value))
        .collect();
    enumeration(&mut out, "space", SPACE_WIDTH, &spaces);
    let errors: Vec<_> = isa
        .errors
        .iter()
        .map(|e| (e.name.as_str(), e.code))
        .collect();
    enumeration(&mut out, "error", ERROR_WIDTH, &errors);

    structure(
        &mut out,
        "Fields that every descriptor has.",
        "common",
        &isa.common,
        bits as u32,
        32,
    );
    for op in &isa.ops {
        let fields = [&isa.common[..], &op.fields].concat();
        structure(
            &mut out,
            &op.doc,
            &format!("{}_desc", op.name),
            &fields,
            bits as u32,
            32,
        );
        checks(&mut out, &op.name, &fields, bits as u32);
    }
    for h in &isa.heads {
        structure(
            &mut out,
            &h.doc,
            &format!("{}_head", h.name),
            &h.fields,
            h.entries as u32 * 64,
            64,
        );
    }
    for e in &isa.entries {
        structure(
            &mut out,
            &e.doc,
            &e.name,
            &e.fields,
            e.entries as u32 * 64,
            64,
        );
    }

    out.push_str(
        "  // Registers: byte offsets, values at reset, bits that can be written, fields.\n",
    );
    registers(&mut out, "Reg", &isa.registers);
    for p in &isa.peripherals {
        let _ = writeln!(out, "\n  // {} Registers alike.", p.doc);
        registers(&mut out, &camel(&p.name), &p.registers);
    }
    out.push_str("\nendpackage\n");
    out
}

/// `width` bits from `lsb` on.
fn mask(lsb: u32, width: u32) -> u32 {
    (u32::MAX >> (32 - width)) << lsb
}

/// Constants of a block of registers; `Mask` are the bits that hold what is written.
fn registers(out: &mut String, prefix: &str, registers: &[Register]) {
    for r in registers {
        let name = format!("{prefix}{}", camel(&r.name));
        let _ = writeln!(
            out,
            "  localparam logic [11:0] {name}Offset = 12'h{:03x};",
            r.offset
        );
        if !r.configured && r.access != "wo" {
            let _ = writeln!(
                out,
                "  localparam logic [31:0] {name}Reset = 32'h{:08x};",
                r.reset
            );
        }
        if r.access == "rw" {
            let mask = r.fields.iter().map(|f| mask(f.lsb, f.width));
            let mask = mask.reduce(|all, m| all | m).unwrap_or(u32::MAX);
            let _ = writeln!(
                out,
                "  localparam logic [31:0] {name}Mask = 32'h{mask:08x};"
            );
        }
        for f in &r.fields {
            let field = camel(&f.name);
            for (what, value) in [("Lsb", f.lsb), ("Width", f.width)] {
                let _ = writeln!(
                    out,
                    "  localparam int unsigned {name}{field}{what} = {value};"
                );
            }
        }
    }
}

fn enumeration(out: &mut String, name: &str, width: u32, items: &[(&str, u32)]) {
    let _ = writeln!(out, "  typedef enum logic [{}:0] {{", width - 1);
    for (i, (item, value)) in items.iter().enumerate() {
        let comma = if i + 1 < items.len() { "," } else { "" };
        let _ = writeln!(
            out,
            "    {}{} = {width}'d{value}{comma}",
            camel(name),
            camel(item)
        );
    }
    let _ = writeln!(out, "  }} {name}_e;\n");
}

/// What a descriptor of an operation must not have set, and whether its fields are in their ranges.
fn checks(out: &mut String, name: &str, fields: &[Field], bits: u32) {
    let mut reserved = vec![true; bits as usize];
    for f in fields {
        let lsb = (f.at[0] * 32 + f.at[1]) as usize;
        reserved[lsb..lsb + f.width as usize].fill(false);
    }
    let mask: String = (0..reserved.len() / 4)
        .rev()
        .map(|digit| {
            let bit = |i: usize| u32::from(reserved[digit * 4 + i]) << i;
            char::from_digit((0..4).map(bit).sum(), 16).expect("four bits")
        })
        .collect();
    let name_camel = camel(name);
    let _ = writeln!(
        out,
        "  localparam logic [{}:0] {name_camel}DescReserved =\n    {bits}'h{mask};\n",
        bits - 1
    );
    let mut terms = Vec::new();
    for f in fields {
        let literal = |value: i128| {
            let (sign, size) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
            let signed = if f.signed { "s" } else { "" };
            format!("{sign}{}'{signed}d{size}", f.width)
        };
        let (low, high) = f.limits();
        if f.min() > low {
            terms.push(format!("d.{} >= {}", f.name, literal(f.min())));
        }
        if f.max() < high {
            terms.push(format!("d.{} <= {}", f.name, literal(f.max())));
        }
    }
    if terms.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "  // Every field of the operation is in its range.\n  \
           function automatic logic {name}_desc_in_range({name}_desc_t d);\n    \
             return {};\n  \
           endfunction\n",
        terms.join("\n        && ")
    );
}

/// A packed struct of `bits` bits; the first member has the highest.
fn structure(out: &mut String, doc: &str, name: &str, fields: &[Field], bits: u32, word: u32) {
    let mut fields: Vec<_> = fields
        .iter()
        .map(|f| (f.at[0] * word + f.at[1], f))
        .collect();
    fields.sort_by_key(|(lsb, _)| *lsb);
    let mut members = Vec::new();
    let mut next = 0;
    let gap = |members: &mut Vec<String>, from: u32, to: u32| {
        if from < to {
            members.push(format!("logic [{}:0] reserved_{from};", to - from - 1));
        }
    };
    for (lsb, f) in fields {
        gap(&mut members, next, lsb);
        let signed = if f.signed { " signed" } else { "" };
        let range = if f.width == 1 {
            String::new()
        } else {
            format!(" [{}:0]", f.width - 1)
        };
        members.push(format!("logic{signed}{range} {};", f.name));
        next = lsb + f.width;
    }
    gap(&mut members, next, bits);
    let _ = writeln!(out, "  // {doc}\n  typedef struct packed {{");
    for member in members.iter().rev() {
        let _ = writeln!(out, "    {member}");
    }
    let _ = writeln!(out, "  }} {name}_t;\n");
}
