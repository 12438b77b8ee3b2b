//! The dependency rules of `ARCHITECTURE.md`, held against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What each crate of the workspace may use of the workspace; tests may use more.
const RULES: &[(&str, &[&str])] = &[
    ("diffuser-spec", &[]),
    ("diffuser-isa", &[]),
    ("diffuser-model", &["diffuser-spec"]),
    ("diffuser-reference", &["diffuser-model"]),
    ("diffuser-engine", &["diffuser-spec", "diffuser-model"]),
    ("diffuser-evaluate", &[]),
    (
        "diffuser-quant",
        &[
            "diffuser-spec",
            "diffuser-model",
            "diffuser-reference",
            "diffuser-engine",
        ],
    ),
    ("diffuser-metrics", &[]),
    ("diffuser-device", &["diffuser-isa", "diffuser-spec"]),
    (
        "diffuser-compiler",
        &["diffuser-isa", "diffuser-model", "diffuser-spec"],
    ),
    ("diffuser-cosim", &["diffuser-device", "diffuser-isa"]),
    ("diffuser-testing", &["diffuser-model", "diffuser-spec"]),
    (
        "diffuser",
        &[
            "diffuser-spec",
            "diffuser-model",
            "diffuser-reference",
            "diffuser-engine",
            "diffuser-evaluate",
            "diffuser-quant",
            "diffuser-metrics",
            "diffuser-compiler",
            "diffuser-device",
            "diffuser-cosim",
        ],
    ),
];

/// Normal and build dependencies of each package, by name.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let out = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let metadata: Value = serde_json::from_slice(&out.stdout).expect("cargo metadata prints JSON");
    let text = |v: &Value| v.as_str().expect("a string").to_owned();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    packages
        .map(|p| {
            let all = p["dependencies"].as_array().expect("dependencies").iter();
            let names = all
                .filter(|d| d["kind"] != "dev")
                .map(|d| text(&d["name"]))
                .collect();
            (text(&p["name"]), names)
        })
        .collect()
}

#[test]
fn crates_know_only_whom_they_may() {
    let found = dependencies();
    let rules: BTreeMap<&str, &[&str]> = RULES.iter().copied().collect();
    let packages: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(
        packages,
        rules.keys().copied().collect(),
        "each crate has a rule and each rule a crate"
    );
    for (package, dependencies) in &found {
        for d in dependencies
            .iter()
            .filter(|d| packages.contains(d.as_str()))
        {
            assert!(
                rules[package.as_str()].contains(&d.as_str()),
                "{package} must not know {d}"
            );
        }
    }
    let spec = &found["diffuser-spec"];
    assert!(spec.is_empty(), "spec has no dependencies: {spec:?}");
}

#[test]
fn documented_paths_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for page in ["README.md", "ARCHITECTURE.md"] {
        let text = std::fs::read_to_string(root.join(page)).expect(page);
        let links = text.split("](").skip(1).filter_map(|s| s.split(')').next());
        let links = links.filter(|l| !l.contains("://") && !l.starts_with('#'));
        let folders = ["crates/", "docs/", "training/", "scripts/"];
        let quoted = text.split('`').skip(1).step_by(2);
        let quoted = quoted
            .filter(|s| folders.iter().any(|p| s.starts_with(p)) && !s.contains(['*', ' ', '<']));
        for path in links.chain(quoted) {
            assert!(
                root.join(path).exists(),
                "{page} names {path}, which does not exist"
            );
        }
    }
}

#[test]
fn files_have_one_purpose() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)
            .expect("readable")
            .map(|e| e.expect("readable").path())
        {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|e| e == "rs") {
                let lines = std::fs::read_to_string(&entry)
                    .expect("readable")
                    .lines()
                    .count();
                assert!(lines <= 600, "{} has {lines} lines", entry.display());
            }
        }
    }
}
