//! The tables of `docs/isa.md` and of the peripherals' pages, between `<!-- table: NAME -->` and `<!-- end of table -->`.

use std::fmt::Write;

use super::source::{Field, Isa, Peripheral, Register};

const OPEN: &str = "<!-- table: ";
const CLOSE: &str = "<!-- end of table -->";

/// The page with its tables made anew. Every table has its place once, and every place a table.
pub fn splice(page: &str, mut tables: Vec<(String, String)>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = page;
    while let Some(at) = rest.find(OPEN) {
        let name_at = at + OPEN.len();
        let end = rest[name_at..]
            .find(" -->")
            .ok_or("a table's marker has no end")?;
        let name = &rest[name_at..name_at + end];
        let place = tables.iter().position(|(n, _)| n == name);
        let place =
            place.ok_or_else(|| format!("there is no table {name}, or it is there twice"))?;
        let (_, table) = tables.swap_remove(place);
        let body = &rest[name_at + end..];
        let close = body
            .find(CLOSE)
            .ok_or_else(|| format!("no {CLOSE:?} after table {name}"))?;
        if body[..close].contains(OPEN) {
            return Err(format!("no {CLOSE:?} after table {name}"));
        }
        out.push_str(&rest[..name_at + end]);
        let _ = write!(out, " -->\n{table}{CLOSE}");
        rest = &body[close + CLOSE.len()..];
    }
    out.push_str(rest);
    match tables.first() {
        None => Ok(out),
        Some((name, _)) => Err(format!("no place \"{OPEN}{name} -->\" for this table")),
    }
}

/// Those of a peripheral's page.
pub fn peripheral(p: &Peripheral) -> Vec<(String, String)> {
    vec![("registers".to_owned(), registers(&p.registers))]
}

/// Those of `docs/isa.md`.
pub fn tables(isa: &Isa) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut units = String::from("| bit of `waits` | unit | |\n| --- | --- | --- |\n");
    for (i, u) in isa.units.iter().enumerate() {
        let _ = writeln!(units, "| {i} | `{}` | {} |", u.name, u.doc);
    }
    out.push(("units".to_owned(), units));
    let mut ops = String::from("| opcode | operation | unit | |\n| --- | --- | --- | --- |\n");
    for o in &isa.ops {
        let _ = writeln!(
            ops,
            "| {} | `{}` | {} | {} |",
            o.opcode, o.name, o.unit, o.doc
        );
    }
    out.push(("operations".to_owned(), ops));
    let mut spaces = String::from("| value | space | |\n| --- | --- | --- |\n");
    for s in &isa.spaces {
        let _ = writeln!(spaces, "| {} | `{}` | {} |", s.value, s.name, s.doc);
    }
    out.push(("spaces".to_owned(), spaces));
    out.push(("common".to_owned(), fields("word", &isa.common)));
    for o in isa.ops.iter().filter(|o| !o.fields.is_empty()) {
        out.push((format!("op {}", o.name), fields("word", &o.fields)));
    }
    for h in &isa.heads {
        let table = format!(
            "Entries: {}. {}\n\n{}",
            h.entries,
            h.doc,
            fields("entry", &h.fields)
        );
        out.push((format!("head {}", h.name), table));
    }
    for e in &isa.entries {
        let table = format!("{}\n\n{}", e.doc, fields("entry", &e.fields));
        out.push((format!("entry {}", e.name), table));
    }
    out.push(("registers".to_owned(), registers(&isa.registers)));
    let mut errors = String::from("| code | error | |\n| --- | --- | --- |\n");
    for e in &isa.errors {
        let _ = writeln!(errors, "| {} | `{}` | {} |", e.code, e.name, e.doc);
    }
    out.push(("errors".to_owned(), errors));
    out
}

fn bits(lsb: u32, width: u32) -> String {
    if width == 1 {
        lsb.to_string()
    } else {
        format!("{}:{lsb}", lsb + width - 1)
    }
}

/// Numbers near a power of two as such.
fn number(x: i128) -> String {
    let power = |x: i128| x.unsigned_abs() > 1 << 16 && x.unsigned_abs().is_power_of_two();
    let log = |x: i128| x.unsigned_abs().trailing_zeros();
    let sign = if x < 0 { "−" } else { "" };
    if power(x) {
        format!("{sign}2^{}", log(x))
    } else if x > 0 && power(x + 1) {
        format!("2^{} − 1", log(x + 1))
    } else {
        format!("{sign}{}", x.unsigned_abs())
    }
}

fn fields(word: &str, fields: &[Field]) -> String {
    let mut out = format!("| {word} | bits | field | range | |\n| --- | --- | --- | --- | --- |\n");
    for f in fields {
        let range = if f.flag {
            "flag".to_owned()
        } else {
            format!("{}…{}", number(f.min()), number(f.max()))
        };
        let at = bits(f.at[1], f.width);
        let _ = writeln!(
            out,
            "| {} | {at} | `{}` | {range} | {} |",
            f.at[0], f.name, f.doc
        );
    }
    out
}

fn registers(registers: &[Register]) -> String {
    let mut out = String::from(
        "| offset | register | bits | access | reset | |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for r in registers {
        let reset = match (r.configured, r.access.as_str()) {
            (true, _) => "built".to_owned(),
            (_, "wo") => "—".to_owned(),
            _ => format!("{:#x}", r.reset),
        };
        let _ = writeln!(
            out,
            "| `{:#05x}` | `{}` | 31:0 | {} | {reset} | {} |",
            r.offset, r.name, r.access, r.doc
        );
        for f in &r.fields {
            let at = bits(f.lsb, f.width);
            let _ = writeln!(out, "| | `{}.{}` | {at} | | | {} |", r.name, f.name, f.doc);
        }
    }
    out
}
