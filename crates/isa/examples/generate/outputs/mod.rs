//! The generated files, as text; shared by the generator and the test that compares.

pub mod markdown;
pub mod rust;
pub mod source;
pub mod verilog;

use std::path::Path;

pub const SOURCE: &str = "hw/isa.toml";
pub const RUST: &str = "crates/isa/src/generated.rs";
pub const VERILOG: &str = "hw/rtl/pkg/diffuser_isa_pkg.sv";
pub const PAGE: &str = "docs/isa.md";

/// Path and text of each output, from the repository at `root`. An error is one line.
pub fn all(root: &Path) -> Result<Vec<(String, String)>, String> {
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path)).map_err(|e| format!("cannot read {path}: {e}"))
    };
    let isa = source::parse(&read(SOURCE)?).map_err(|e| format!("{SOURCE}: {e}"))?;
    let mut outputs = vec![
        (RUST.to_owned(), rust::render(&isa)),
        (VERILOG.to_owned(), verilog::render(&isa)),
    ];
    let mut pages = vec![(PAGE.to_owned(), markdown::tables(&isa))];
    for p in &isa.peripherals {
        let path = RUST.replace(".rs", &format!("/{}.rs", p.name));
        outputs.push((path, rust::peripheral(p)));
        pages.push((format!("docs/{}.md", p.name), markdown::peripheral(p)));
    }
    for (path, tables) in pages {
        let page = markdown::splice(&read(&path)?, tables).map_err(|e| format!("{path}: {e}"))?;
        outputs.push((path, page));
    }
    Ok(outputs)
}

/// `wait_dma` as `WaitDma`.
fn camel(name: &str) -> String {
    let part = |p: &str| p[..1].to_uppercase() + &p[1..].to_lowercase();
    name.split('_').map(part).collect()
}
