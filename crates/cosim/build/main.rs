//! Builds the tops of `tops/` with Verilator and writes their Rust types (feature `verilator`).
//!
//! `DIFFUSER_TOPS=a,b` builds those tops alone (without it all but those whose file says `only by name`), `DIFFUSER_TRACE=1` builds them with waveforms,
//! `DIFFUSER_VERILATOR` names another Verilator, `DIFFUSER_RTL` a folder to take for `hw/rtl`. `DIFFUSER_COVERAGE` names a source of cover points to bind to
//! the RTL: tops then count their lines and those points (`hw/coverage`). A top that was built sets `cfg(top_NAME)` in this crate and its tests.

mod bindings;
mod verilator;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use verilator::Verilator;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One file of `tops/`.
struct Top {
    /// Name of the file: `stream_fifo`.
    name: String,
    /// Arguments for Verilator.
    arguments: PathBuf,
    /// Built only where it is asked for: it takes minutes.
    by_name: bool,
}

fn main() -> Result<()> {
    let package = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = package.join("../..").canonicalize()?;
    let tops = tops(&package.join("tops"))?;
    for top in &tops {
        println!("cargo::rustc-check-cfg=cfg(top_{})", top.name);
    }
    println!(
        "cargo::rerun-if-changed={}",
        package.join("build").display()
    );
    println!("cargo::rerun-if-changed={}", package.join("tops").display());
    if env::var_os("CARGO_FEATURE_VERILATOR").is_none() {
        return Ok(());
    }
    let rtl = env::var_os("DIFFUSER_RTL").map_or_else(|| root.join("hw/rtl"), |p| root.join(p));
    println!("cargo::rerun-if-changed={}", rtl.display());
    println!(
        "cargo::rerun-if-changed={}",
        root.join("hw/lint.vlt").display()
    );
    for name in [
        "DIFFUSER_TOPS",
        "DIFFUSER_TRACE",
        "DIFFUSER_RTL",
        "DIFFUSER_COVERAGE",
        "DIFFUSER_VERILATOR",
        "CXX",
    ] {
        println!("cargo::rerun-if-env-changed={name}");
    }

    let out = PathBuf::from(env::var("OUT_DIR")?);
    let trace = env::var("DIFFUSER_TRACE").is_ok_and(|v| v != "0" && !v.is_empty());
    let points = env::var_os("DIFFUSER_COVERAGE").map(|p| root.join(p));
    if let Some(points) = &points {
        println!("cargo::rerun-if-changed={}", points.display());
    }
    let core = env::var_os("CARGO_FEATURE_CORE").map(|_| "core_small".to_owned());
    let wanted = env::var("DIFFUSER_TOPS").ok().or(core);
    let verilator = Verilator::find(&root, &rtl, trace, points)?;
    let mut source = String::new();
    // beside the package's own folder, which differs between `cargo test` and `cargo clippy`
    let place = out.ancestors().nth(3).ok_or("OUT_DIR")?;
    let other = env::var_os("DIFFUSER_RTL").is_some();
    let kinds = [
        (trace, "-trace"),
        (other, "-other"),
        (verilator.covers(), "-coverage"),
    ];
    let kinds = kinds.iter().filter(|(is, _)| *is).map(|(_, name)| *name);
    let place = place.join(format!("verilated{}", kinds.collect::<String>()));
    for top in tops.iter().filter(|top| selected(wanted.as_deref(), top)) {
        let folder = place.join(&top.name);
        let header = verilator.generate(top, &folder)?;
        let ports = bindings::ports(&fs::read_to_string(header)?)?;
        let root = folder.join(format!("V{}___024root.h", top.name));
        let memories = bindings::memories(&fs::read_to_string(root)?)?;
        write_if_changed(
            &folder.join("shim.cpp"),
            &bindings::shim(&top.name, &ports, &memories),
        )?;
        verilator.compile(top, &folder)?;
        source += &bindings::rust(&top.name, &ports, &memories);
        println!("cargo::rustc-cfg=top_{}", top.name);
        println!("cargo::rustc-link-search=native={}", folder.display());
        println!("cargo::rustc-link-lib=static=top_{}", top.name);
        println!("cargo::rustc-link-lib=static=V{}", top.name);
    }
    fs::write(out.join("tops.rs"), source)?;
    verilator.runtime(&place.join("runtime"))?;
    println!(
        "cargo::rustc-link-search=native={}",
        place.join("runtime").display()
    );
    println!("cargo::rustc-link-lib=static=verilated");
    println!("cargo::rustc-link-lib=dylib=stdc++");
    println!("cargo::rustc-link-lib=dylib=pthread");
    Ok(())
}

/// All tops, by name.
fn tops(folder: &Path) -> Result<Vec<Top>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let arguments = entry?.path();
        if arguments.extension().is_some_and(|e| e == "f") {
            let name = arguments.file_stem().and_then(|s| s.to_str());
            let name = name.ok_or("a name in tops/ is not UTF-8")?.to_owned();
            let by_name = fs::read_to_string(&arguments)?.contains("// only by name");
            all.push(Top {
                name,
                arguments,
                by_name,
            });
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

fn selected(wanted: Option<&str>, top: &Top) -> bool {
    match wanted {
        Some(list) => list.split(',').any(|name| name.trim() == top.name),
        None => !top.by_name,
    }
}

/// Keeps the time of a file that does not change, so that `make` has nothing to do.
fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    Ok(fs::write(path, text)?)
}
