//! Makes the files that hold registers and descriptors out of `hw/isa.toml`.

mod outputs;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match outputs::all(&root) {
        Ok(files) => {
            for (path, text) in files {
                if let Err(e) = std::fs::write(root.join(&path), text) {
                    eprintln!("error: cannot write {path}: {e}");
                    return ExitCode::FAILURE;
                }
                println!("{path}");
            }
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
