//! `diffuser evaluate --reference`, through the command.

mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use common::Sandbox;
use diffuser_evaluate::{Error, Extractor, Images, Picture, Preprocessing};
use diffuser_metrics::{Features, Moments, frechet_distance};
use serde_json::Value;

/// Reading alone goes on in here, and each test writes names of its own.
fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        let sandbox = Sandbox::with_model();
        sandbox.add_extractor();
        sandbox.ok(
            "quantize pipeline -o static.safetensors --method static-minmax --steps 4 --images 3",
        );
        sandbox
    })
}

const RUN: &str = "evaluate model.safetensors --steps 3 --step-images 0 --extractor tiny.onnx";
const REAL: &str = "--reference images.parquet --reference-filter skin_variant=false";

fn report(arguments: &str, name: &str) -> (String, Value) {
    let s = sandbox();
    let text = s.ok(&format!("{arguments} --json {name}.json"));
    let json = fs::read(s.path(&format!("{name}.json"))).unwrap();
    (text, serde_json::from_slice(&json).unwrap())
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

fn figure(value: &Value) -> [f64; 3] {
    let interval = &value["interval"];
    [&value["value"], &interval[0], &interval[1]].map(number)
}

fn assert_near(a: f64, b: f64) {
    assert!(
        (a - b).abs() <= 1e-9 * b.abs().max(1.0),
        "{a}, expected {b}"
    );
}

fn pictures(images: &Images) -> Vec<Picture> {
    let mut all = Vec::new();
    let visit = &mut |p| {
        all.push(p);
        Ok::<(), Error>(())
    };
    images.read(visit).unwrap();
    all
}

/// Features of pictures, by the extractor of the tests.
fn moments(pictures: &[Picture]) -> Moments {
    let s = sandbox();
    let preprocessing = Preprocessing::read(&s.path("tiny.json")).unwrap();
    let extractor = Extractor::open(&s.path("tiny.onnx"), preprocessing).unwrap();
    let rows = extractor.rows(pictures, 1).unwrap();
    let rows: Vec<f32> = rows
        .iter()
        .flat_map(|r| r[..extractor.dim()].to_vec())
        .collect();
    Moments::of(Features::new(&rows, extractor.dim()).unwrap())
}

fn files(folder: &str, kind: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(sandbox().path(folder))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with(kind))
        .map(|p| (p.clone(), fs::read(&p).unwrap()))
        .collect();
    found.sort();
    found
}

/// Put together here once more: pictures as files, the crates' own functions.
#[test]
fn distances_are_those_of_the_pictures() {
    let s = sandbox();
    let run = format!(
        "{RUN} --against pipeline --versus static.safetensors {REAL} -n 40 --journal whole"
    );
    let (text, got) = report(&run, "whole");
    let filters = vec!["skin_variant=false".parse().unwrap()];
    let real = Images::open(&s.path("images.parquet"), filters).unwrap();
    let real: Vec<_> = pictures(&real).iter().map(|p| p.shrink(2)).collect();
    let real = moments(&real);
    assert_eq!(got["reference"]["images"], 36);
    assert_eq!(got["reference"]["size"], serde_json::json!([8, 8]));
    assert_eq!(
        got["reference"]["floor"]["images"],
        serde_json::json!([18, 18])
    );
    let [floor, low, high] = figure(&got["reference"]["floor"]["frechet"]);
    assert!(low < floor && floor < high && floor > 0.0);

    let mut distances = Vec::new();
    for (model, place) in [
        ("--model pipeline --float", &got["float"]),
        ("--model model.safetensors", &got["distances"]),
        ("--model static.safetensors", &got["versus"][0]["distances"]),
    ] {
        let folder = format!("each{}", distances.len());
        s.ok(&format!(
            "generate {model} --steps 3 -n 40 --each {folder} -o /dev/null"
        ));
        let made = moments(&pictures(&Images::open(&s.path(&folder), vec![]).unwrap()));
        let want = frechet_distance(&real, &made).unwrap().distance;
        let [value, low, high] = figure(&place["frechet"]);
        assert_near(value, want);
        assert!(low < value && value < high, "{place}");
        assert!(
            text.contains(&format!("{value:.3} [{low:.3}, {high:.3}]")),
            "{text}"
        );
        let blocks = place["frechet"]["without_block"].as_array().unwrap();
        assert_eq!(blocks.len(), 20);
        for name in [
            "kernel",
            "inception",
            "precision",
            "recall",
            "density",
            "coverage",
        ] {
            let [value, low, high] = figure(&place[name]);
            assert!(low <= value && value <= high, "{name}: {place}");
        }
        distances.push(value);
    }
    let [float, model, other] = distances[..] else {
        panic!("three")
    };
    assert_ne!(model, other);
    let less = &got["distances_less_float"];
    assert_near(figure(&less["frechet"])[0], model - float);
    assert_near(figure(&less["frechet_ratio"])[0], model / float);
    let [value, _, high] = figure(&less["frechet_ratio"]);
    let most = number(&less["frechet_ratio"]["at_most"]);
    assert!(value < most && most < high, "one side is closer than two");
    let less = &got["versus"][0]["model_less_this"];
    assert_near(figure(&less["distances"]["frechet"])[0], model - other);
    assert!(figure(&got["feature_distance"])[0] > 0.0);
    assert_eq!(got["ssim"], Value::Null, "8 x 8 pixels are too few");

    let names = |b: &Value| b["sets"].to_string();
    let between = got["between"].as_array().unwrap();
    let sets: Vec<_> = between.iter().map(names).collect();
    assert_eq!(
        sets,
        [
            "[\"float\",\"float\"]",
            "[\"model\",\"float\"]",
            "[\"model\",\"float\"]",
            "[\"static\",\"float\"]"
        ]
    );
    let [same, other] = [1, 2].map(|i| figure(&between[i]["frechet"])[0]);
    assert!(same < other, "of the same noise they are closer");
}

/// Killed at any moment: the same report and the same journals; nothing is made twice.
#[test]
fn features_that_are_cut_off_are_made_again() {
    let run = format!("{RUN} {REAL} -n 10 --journal cut");
    let whole = report(&format!("{run} --threads 1"), "cut");
    let journals = files("cut", "features");
    assert_eq!(journals.len(), 2, "real images and integers");
    for (end, threads) in [(1, 1), (200, 2), (usize::MAX, 3)] {
        for (path, bytes) in &journals {
            let length = bytes.len().saturating_sub(end);
            fs::write(path, &bytes[..length]).unwrap();
        }
        let again = report(&format!("{run} --threads {threads}"), "cut");
        assert_eq!(again, whole, "{end} bytes were missing");
        assert_eq!(files("cut", "features"), journals);
    }
}

#[test]
fn saved_statistics_stand_for_the_images() {
    let run = format!("{RUN} -n 8 --journal saved");
    let images = report(
        &format!("{run} {REAL} --save-statistics tiny.safetensors"),
        "saved",
    )
    .1;
    let saved = report(&format!("{run} --reference tiny.safetensors"), "saved").1;
    let [a, b] = [&images, &saved].map(|r| &r["distances"]["frechet"]);
    assert_near(figure(b)[0], figure(a)[0]);
    assert_eq!(saved["reference"]["images"], 36);
    assert_eq!(
        saved["distances"]["kernel"],
        Value::Null,
        "there are no images"
    );
    assert_eq!(saved["reference"]["floor"], Value::Null);
    let test = "--reference-test images.parquet --reference-filter skin_variant=true";
    let line = sandbox().run(&format!("{run} --reference tiny.safetensors {test}"));
    assert_eq!(
        line.code,
        Some(1),
        "a filter is for columns, and statistics have none"
    );
    let floor = format!("{run} --reference tiny.safetensors --reference-test images.parquet");
    let floor = report(&floor, "saved").1;
    assert_eq!(
        floor["reference"]["floor"]["images"],
        serde_json::json!([36, 48])
    );
    assert_eq!(floor["reference"]["floor"]["halves"], false);
}

#[test]
fn another_seed_shows_what_chance_does() {
    let run = format!("{RUN} --against pipeline -n 12 --control-seed 9 --journal control");
    let got = report(&run, "control").1;
    let first = &got["between"][0];
    assert_eq!(first["sets"][1], "float of the control seed");
    assert_eq!(first["same_noise"], false);
    assert!(figure(&first["frechet"])[0] > 0.0);
    assert_eq!(got["distances"], Value::Null, "without real images");
}

/// The journal of features goes by what is in the files, not by their names alone.
#[test]
fn a_picture_that_changes_is_looked_at_again() {
    let s = sandbox();
    s.ok("generate --model model.safetensors --steps 2 -n 9 --each folder -o /dev/null");
    let run = |journal: &str| {
        report(
            &format!("{RUN} -n 6 --reference folder --journal {journal}"),
            "folder",
        )
        .1
    };
    let before = run("changed");
    fs::copy(s.path("folder/00003.png"), s.path("folder/00004.png")).unwrap();
    let after = run("changed");
    assert_ne!(after["distances"], before["distances"]);
    assert_eq!(after, run("fresh"));
    assert_eq!(after, run("changed"));
}
