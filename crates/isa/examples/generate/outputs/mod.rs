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
pub fn all(root: &Path) -> Result<[(&'static str, String); 3], String> {
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path)).map_err(|e| format!("cannot read {path}: {e}"))
    };
    let isa = source::parse(&read(SOURCE)?).map_err(|e| format!("{SOURCE}: {e}"))?;
    let page = markdown::splice(&read(PAGE)?, &isa).map_err(|e| format!("{PAGE}: {e}"))?;
    Ok([
        (RUST, rust::render(&isa)),
        (VERILOG, verilog::render(&isa)),
        (PAGE, page),
    ])
}

/// `wait_dma` as `WaitDma`.
fn camel(name: &str) -> String {
    let part = |p: &str| p[..1].to_uppercase() + &p[1..].to_lowercase();
    name.split('_').map(part).collect()
}
