//! `diffuser evaluate`, through the command.

mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use common::Sandbox;
use serde_json::{Value, json};

/// Reading alone goes on in here, and each test writes names of its own.
fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(Sandbox::with_model)
}

const PAIRED: &str = "evaluate model.safetensors --against pipeline --steps 3";

fn report(s: &Sandbox, arguments: &str, name: &str) -> (String, Value) {
    let text = s.ok(&format!("{arguments} --json {name}.json"));
    let json = fs::read(s.path(&format!("{name}.json"))).unwrap();
    (text, serde_json::from_slice(&json).unwrap())
}

fn journals(s: &Sandbox, folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(s.path(folder))
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.clone(), fs::read(&p).unwrap()))
        .collect();
    found.sort();
    found
}

#[test]
fn paired_figures_are_those_of_compare() {
    let s = sandbox();
    let (text, got) = report(
        s,
        &format!("{PAIRED} --images 5 --step-images 5 --journal paired --plot paired.svg"),
        "paired",
    );
    let compared = s.json(
        "compare pipeline model.safetensors --steps 3 --count 5 --json -o paired.png --plot compare.svg",
    );
    assert_eq!(got["sha256"]["float"], compared["sha256"]["float"]);
    assert_eq!(got["sha256"]["integers"], compared["sha256"]["integer"]);
    let each = compared["images"].as_array().unwrap().iter();
    let each = each.map(|i| i["psnr_db"].clone()).collect::<Vec<_>>();
    assert_eq!(got["psnr_db"]["each"], json!(each));
    assert_eq!(got["steps"]["each"], compared["steps"]);
    let mut sorted: Vec<_> = each.iter().map(|p| p.as_f64().unwrap()).collect();
    sorted.sort_by(f64::total_cmp);
    assert_eq!(got["psnr_db"]["median"], json!(sorted[2]));
    assert_eq!(got["psnr_db"]["worst"], json!(sorted[0]));
    assert!(text.contains(&format!("{:6.2} dB", sorted[2])), "{text}");
    assert_eq!(
        fs::read(s.path("paired.svg")).unwrap(),
        fs::read(s.path("compare.svg")).unwrap()
    );
}

/// Killed at any moment, with any number of threads: the same report and the same journals.
#[test]
fn what_is_cut_off_goes_on_to_the_same_result() {
    let s = sandbox();
    let run = format!("{PAIRED} --images 10 --step-images 0 --threads 1");
    let whole = report(s, &format!("{run} --journal cut"), "cut");
    let files = journals(s, "cut");
    assert_eq!(files.len(), 2, "float and integers");
    let record = 8 + 8 * 8 * 3 + 4;
    let starts: Vec<_> = files.iter().map(|f| f.1.len() - 10 * record).collect();
    // In the header, in the first record, between two, in the last.
    for place in [-5, 7, 4 * record as i64, 10 * record as i64 - 1] {
        for threads in [1, 3] {
            for ((path, bytes), start) in files.iter().zip(&starts) {
                let length = (*start as i64 + place) as usize;
                fs::write(path, &bytes[..length]).unwrap();
            }
            let again = format!("{run} --journal cut").replace("--threads 1", "");
            let again = report(s, &format!("{again} --threads {threads}"), "cut");
            assert_eq!(again, whole, "cut at {place}");
            assert_eq!(journals(s, "cut"), files, "cut at {place}");
        }
    }
}

#[test]
fn float_images_are_made_once_for_all_files() {
    let s = sandbox();
    s.ok("quantize pipeline -o static.safetensors --method static-minmax --steps 4 --images 3");
    let run = format!("{PAIRED} --images 4 --step-images 0 --journal shared");
    let first = report(s, &run, "shared").1;
    let before = journals(s, "shared");
    let other = run.replace("model.safetensors", "static.safetensors");
    let other = report(s, &other, "shared").1;
    let after = journals(s, "shared");
    assert_eq!((before.len(), after.len()), (2, 3));
    assert!(before.iter().all(|f| after.contains(f)));
    assert_eq!(first["sha256"]["float"], other["sha256"]["float"]);
    assert_ne!(first["sha256"]["integers"], other["sha256"]["integers"]);
    // More images of the same kind extend the journal; other settings have another.
    report(s, &run.replace("--images 4", "--images 6"), "shared");
    assert_eq!(journals(s, "shared").len(), 3);
    report(s, &format!("{run} --seed 1"), "shared");
    assert_eq!(journals(s, "shared").len(), 5);
    report(s, &format!("{run} --class dog"), "shared");
    assert_eq!(journals(s, "shared").len(), 7);
}

#[cfg(unix)]
#[test]
fn an_interrupt_keeps_what_is_finished_and_says_how_to_go_on() {
    use std::process::{Command, Stdio};
    let s = sandbox();
    // Hours of work, were it not interrupted.
    let run = format!("{PAIRED} --images 100000 --step-images 0 --threads 1 --journal interrupted");
    let mut child = s.command(&run).stderr(Stdio::piped()).spawn().unwrap();
    let size = || -> u64 {
        let files = fs::read_dir(s.path("interrupted")).into_iter().flatten();
        files.map(|e| e.unwrap().metadata().unwrap().len()).sum()
    };
    while size() < 2000 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status();
    assert!(killed.unwrap().success());
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(130));
    assert_eq!(
        String::from_utf8(done.stderr).unwrap(),
        "diffuser: interrupted; finished images are kept in interrupted, and the same command goes on from there\n"
    );
    let kept = size();
    s.ok(&run.replace("100000", "8"));
    assert!(size() > kept, "integers were made");
}
