//! Compiling for the accelerator, and images from its simulator.

mod common;

use std::fs;
use std::sync::OnceLock;

use common::Sandbox;
use safetensors::SafeTensors;
use serde_json::{Value, json};

fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(Sandbox::with_model)
}

#[test]
fn the_simulator_makes_the_same_images() {
    let s = sandbox();
    for (target, sampler) in [
        ("small", "ddim --eta 0.7"),
        ("zu9eg", "ddpm"),
        ("small", "dpmsolver++"),
    ] {
        // classes take turns, each with records of its own
        let all = format!(
            "generate --model model.safetensors --scheduler {sampler} --steps 3 --count 4 --seed 5 \
             --first 9 --json"
        );
        let cpu = s.json(&format!("{all} -o cpu.png"));
        let sim = s.json(&format!(
            "{all} -o sim.png --device sim --target {target} --threads 2"
        ));
        assert_eq!(sim["images"], cpu["images"], "{target} {sampler}");
        assert_eq!(sim["sha256"], cpu["sha256"]);
        assert_eq!(sim["kernel"], json!("simulator"));
        assert_eq!(cpu["cycles"], Value::Null);
        assert!(sim["cycles"].as_u64().unwrap() > 4 * 3 * 1000);
        assert!(fs::read(s.path("sim.png")).unwrap() == fs::read(s.path("cpu.png")).unwrap());
    }
}

#[test]
fn the_size_of_a_batch_makes_no_difference() {
    let s = sandbox();
    // classes take turns, the last batch is smaller
    let all =
        "generate --model model.safetensors --scheduler ddpm --steps 2 --count 5 --seed 5 --json";
    let cpu = s.json(&format!("{all} -o cpu5.png"));
    let mut cycles = Vec::new();
    for batch in ["--batch 1", "--batch 3", ""] {
        let sim = s.json(&format!(
            "{all} -o sim5.png --device sim --target small {batch}"
        ));
        assert_eq!(sim["sha256"], cpu["sha256"], "{batch}");
        cycles.push(sim["cycles"].as_u64().unwrap());
    }
    assert!(cycles[1] < cycles[0] && cycles[2] < cycles[0], "{cycles:?}");
}

#[test]
fn the_embedded_model_on_the_simulator() {
    let s = Sandbox::new();
    let run = |device: &str| {
        s.json(&format!(
            "generate --steps 2 --count 1 --seed 3 --device {device} --json -o {device}.png"
        ))
    };
    assert_eq!(run("sim")["sha256"], run("cpu")["sha256"]);
}

#[cfg(feature = "rtl")]
#[test]
fn the_rtl_makes_the_same_images_of_the_embedded_model() {
    let s = Sandbox::new();
    let run = |device: &str| {
        s.json(&format!(
            "generate --steps 2 --count 1 --seed 3 --device {device} --json -o {device}.png"
        ))
    };
    let (cpu, rtl) = (run("cpu"), run("rtl"));
    assert_eq!(rtl["sha256"], cpu["sha256"]);
    assert_eq!(rtl["kernel"], json!("rtl"));
    assert!(fs::read(s.path("rtl.png")).unwrap() == fs::read(s.path("cpu.png")).unwrap());
    let other = s.run("generate --steps 2 --device rtl --target zu9eg -o other.png");
    assert_eq!(other.code, Some(2));
    assert!(other.stderr.contains("core_zu9eg"), "{}", other.stderr);
}

#[cfg(not(feature = "rtl"))]
#[test]
fn a_program_without_rtl_says_how_to_build_one() {
    let s = Sandbox::new();
    let ran = s.run("generate --steps 2 --device rtl -o no.png");
    assert_eq!(ran.code, Some(2));
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("--features rtl"), "{}", ran.stderr);
    assert!(!s.path("no.png").exists());
}

#[test]
fn the_simulator_starts_from_latents() {
    let s = sandbox();
    let values: Vec<f32> = (0..3 * 64).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect();
    s.tensor("start.safetensors", "latents", &[1, 3, 8, 8], &values);
    let run = |device: &str| {
        s.json(&format!(
            "generate --model model.safetensors --latents start.safetensors --steps 2 --device {device} \
             --json -o start.png"
        ))
    };
    assert_eq!(run("sim")["sha256"], run("cpu")["sha256"]);
}

#[test]
fn a_compiled_file_holds_all_that_a_host_needs() {
    let s = sandbox();
    s.ok(
        "compile model.safetensors -o job.safetensors --target small --steps 3 --emit tile --quiet",
    );
    let bytes = fs::read(s.path("job.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let about = &header.metadata().as_ref().unwrap()["diffuser.program"];
    let about: Value = serde_json::from_str(about).unwrap();
    let shape = |name: &str| file.tensor(name).unwrap().shape().to_vec();
    assert_eq!(json!(shape("program")), json!([about["descriptors"], 64]));
    assert_eq!(json!(shape("data")), json!([about["bytes"]["data"]]));
    assert_eq!(
        json!(shape("records")),
        json!([3, about["bytes"]["record"]])
    );
    assert_eq!(about["target"]["name"], "small");
    assert_eq!(
        about["image"],
        json!({ "height": 8, "width": 8, "channels": 3 })
    );
    // the last descriptor is `end`
    let program = file.tensor("program").unwrap().data();
    assert_eq!(program[program.len() - 64], 1);
    // the same again
    s.ok("compile model.safetensors -o again.safetensors --target small --steps 3 --emit tile --quiet");
    assert!(fs::read(s.path("again.safetensors")).unwrap() == bytes);
}

#[test]
fn cycles_are_reported_for_step_and_layers() {
    let s = sandbox();
    let run = |target: &str| {
        s.json(&format!(
            "compile model.safetensors --target {target} --steps 4 --class dog --json"
        ))
    };
    let (small, board) = (run("small"), run("zu9eg"));
    for report in [&small, &board] {
        let step = report["cycles_per_step"].as_u64().unwrap();
        let busy = report["busy_per_step"].as_u64().unwrap();
        assert!(0 < busy && busy < step);
        let layers = report["layers"].as_array().unwrap();
        let sum: u64 = layers.iter().map(|l| l["busy"].as_u64().unwrap()).sum();
        assert_eq!(sum, busy);
        assert_eq!(layers[0]["name"], "conv_in.input");
        assert!(report["utilisation"].as_f64().unwrap() < 1.0);
        assert_eq!(report["class"], 1);
    }
    assert!(board["cycles_per_step"].as_u64() < small["cycles_per_step"].as_u64());
}

#[test]
fn a_batch_is_compiled_and_measured() {
    let s = sandbox();
    let run = |batch: usize| {
        s.json(&format!(
            "compile model.safetensors --target small --steps 4 --batch {batch} --json"
        ))
    };
    let (one, two) = (run(1), run(2));
    let step = |report: &Value| report["cycles_per_step"].as_f64().unwrap();
    assert_eq!((&one["batch"], &two["batch"]), (&json!(1), &json!(2)));
    assert_eq!(one["cycles_per_image_step"], json!(step(&one)));
    assert_eq!(two["cycles_per_image_step"], json!(step(&two) / 2.0));
    assert!(step(&two) < 2.0 * step(&one));
    assert_eq!(
        two["macs_per_step"].as_u64().unwrap(),
        2 * one["macs_per_step"].as_u64().unwrap()
    );
    assert_eq!(
        two["busy_per_step"].as_u64().unwrap(),
        2 * one["busy_per_step"].as_u64().unwrap()
    );
    let text = s.ok("compile model.safetensors --target small --steps 4 --batch 2");
    assert!(text.contains("for each image"), "{text}");
    let tiles = s.ok("compile model.safetensors --target small --emit tile --batch 2");
    assert!(tiles.contains("image 1"), "{tiles}");
    let refused = s.run("compile model.safetensors --batch 0");
    assert_eq!(refused.code, Some(2));
}

#[test]
fn text_and_stages() {
    let s = sandbox();
    let text = s.ok("compile model.safetensors --target small --steps 4");
    assert!(text.contains("cycles of a step"), "{text}");
    assert!(text.contains("stream memory"), "{text}");
    for stage in ["lower", "fuse", "order", "tile", "program"] {
        let text = s.ok(&format!("compile model.safetensors --emit {stage}"));
        assert!(
            text.contains("mid_block.resnets.0.conv1"),
            "{stage}: {text}"
        );
    }
}

#[test]
fn what_the_accelerator_cannot_do_is_said_in_a_line() {
    let s = sandbox();
    let line = |arguments: &str| {
        let ran = s.run(arguments);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(2), ""),
            "{arguments}"
        );
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        ran.stderr
    };
    let float = line("generate --model pipeline --float --device sim -o no.png");
    assert!(float.contains("integers only"), "{float}");
    let animated = line("generate --device sim --animate a.gif -o no.png");
    assert!(animated.contains("--device cpu"), "{animated}");
    let class = line("compile model.safetensors --class bird");
    assert!(class.contains("bird"), "{class}");
    assert!(!s.path("no.png").exists());
}
