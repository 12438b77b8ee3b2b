//! The command of the README's first lines, on the model that is shipped: the same bytes for ever.

mod common;

use std::fs;
use std::path::Path;

use common::Sandbox;
use diffuser::KernelChoice;
use serde_json::json;

/// SHA-256 of the pixels. `UPDATE_GOLDEN=1 cargo test -p diffuser --test shipped` writes it again,
/// which is due when `assets/default.safetensors` is replaced, and never else.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/shipped.txt");

#[test]
fn the_shipped_model_makes_the_same_images_for_ever() {
    let sandbox = Sandbox::new();
    let run = |more: &str| {
        let report = sandbox.json(&format!(
            "generate --seed 7 --count 4 --json --quiet -o out.png {more}"
        ));
        (report, fs::read(sandbox.path("out.png")).unwrap())
    };
    let (report, _) = run("");
    assert_eq!(report["model"], "embedded");
    let made = report["sha256"].as_str().unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(Path::new(GOLDEN), format!("{made}\n")).unwrap();
    }
    let golden = fs::read_to_string(GOLDEN).unwrap();
    assert_eq!(made, golden.trim(), "pixels of the shipped model");
    // fewer steps: the oracle is slow
    let (report, grid) = run("--steps 5");
    for kernel in KernelChoice::ALL.into_iter().filter(|k| k.is_available()) {
        for threads in [1, 2] {
            let (again, file) = run(&format!("--steps 5 --kernel {kernel} --threads {threads}"));
            let what = format!("{kernel}, {threads} threads");
            assert_eq!(again["kernel"], json!(kernel.name()));
            assert_eq!(again["threads"], threads, "{what}");
            assert_eq!(again["images"], report["images"], "{what}");
            assert_eq!(again["sha256"], report["sha256"], "{what}");
            assert!(file == grid, "{what}: the file differs");
        }
    }
}
