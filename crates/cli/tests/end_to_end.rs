//! From a folder to files, through the command.

mod common;

use std::fs;
use std::sync::OnceLock;

use common::{Sandbox, normal};
use diffuser::output::read_tensor;
use diffuser::{FloatModel, Generator, KernelChoice, Model};
use serde_json::json;

/// Reading alone goes on in here, and each test writes names of its own.
fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(Sandbox::with_model)
}

const MODEL: &str = "--model model.safetensors";

#[test]
fn the_same_bytes_for_any_threads_and_kernel() {
    let s = sandbox();
    for sampler in ["ddim --eta 0.7", "ddpm", "dpmsolver++"] {
        let all =
            format!("generate {MODEL} --scheduler {sampler} --steps 5 --count 5 --seed 3 --json");
        let first = s.json(&format!("{all} --threads 1 -o first.png"));
        let grid = fs::read(s.path("first.png")).unwrap();
        for kernel in KernelChoice::ALL.into_iter().filter(|k| k.is_available()) {
            for threads in [1, 2, 7] {
                let again = s.json(&format!(
                    "{all} --threads {threads} --kernel {kernel} -o again.png"
                ));
                assert_eq!(again["kernel"], json!(kernel.name()));
                assert_eq!(
                    again["images"], first["images"],
                    "{kernel}, {threads} threads"
                );
                assert_eq!(again["sha256"], first["sha256"]);
                assert!(
                    fs::read(s.path("again.png")).unwrap() == grid,
                    "the grid differs"
                );
            }
        }
        let other = s.json(&format!("{all} --seed 4 -o again.png").replace("--seed 3 ", ""));
        assert_ne!(other["sha256"], first["sha256"], "the seed matters");
    }
}

#[test]
fn an_image_does_not_depend_on_the_others() {
    let s = sandbox();
    let all = s.json(&format!(
        "generate {MODEL} --steps 3 --count 7 -o all.png --eta 1 --json"
    ));
    let some = format!(
        "generate {MODEL} --steps 3 --first 4 --count 2 --eta 1 -o some.png --each some --json"
    );
    let some = s.json(&some);
    let images = all["images"].as_array().unwrap();
    assert_eq!(some["images"].as_array().unwrap()[..], images[4..6]);
    assert_eq!(
        images[4]["class_name"], "dog",
        "classes take turns by number"
    );
    let mut files: Vec<_> = fs::read_dir(s.path("some"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    files.sort();
    assert_eq!(files, ["00004.png", "00005.png"]);
    let mut reader = png::Decoder::new(std::io::BufReader::new(
        fs::File::open(s.path("some/00005.png")).unwrap(),
    ))
    .read_info()
    .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (8, 8), "in its own size");
    let image = diffuser::Image::new(8, 8, 3, pixels).unwrap();
    assert_eq!(images[5]["sha256"], json!(image.sha256()));
}

#[test]
fn classes_by_name_and_number_matter() {
    let s = sandbox();
    let run = |class: &str| {
        s.json(&format!(
            "generate {MODEL} --steps 3 --count 4 --class {class} -o class.png --json"
        ))
    };
    let named = run("dog,cat");
    assert_eq!(named["images"], run("1,0")["images"]);
    assert_eq!(named["images"][2]["class_name"], "dog");
    assert_ne!(named["sha256"], run("cat")["sha256"]);
}

#[test]
fn the_command_does_what_the_library_does() {
    let s = sandbox();
    let model = Model::load(s.path("model.safetensors")).unwrap();
    let made = Generator::new(&model)
        .count(3)
        .steps(4)
        .seed(5)
        .run()
        .unwrap();
    let printed = s.json(&format!(
        "generate {MODEL} --count 3 --steps 4 --seed 5 -o lib.png --json"
    ));
    assert_eq!(printed["sha256"], json!(diffuser::sha256(&made.images)));
    let float = FloatModel::load(s.path("pipeline")).unwrap();
    let made = Generator::float(&float)
        .count(3)
        .steps(4)
        .seed(5)
        .threads(2)
        .run()
        .unwrap();
    let printed =
        "generate --model pipeline --float --count 3 --steps 4 --seed 5 -o lib.png --json";
    assert_eq!(
        s.json(printed)["sha256"],
        json!(diffuser::sha256(&made.images))
    );
}

#[test]
fn latents_replace_the_noise_of_the_start() {
    let s = sandbox();
    s.tensor(
        "latents.safetensors",
        "latents",
        &[2, 3, 8, 8],
        &normal(5, 384),
    );
    let run = |more: &str| {
        s.json(&format!(
            "generate {MODEL} --steps 3 --latents latents.safetensors -o latents.png --json {more}"
        ))
    };
    let images = run("")["images"].clone();
    assert_eq!(images.as_array().unwrap().len(), 2);
    assert_eq!(run("--seed 8")["images"], images, "nothing else is random");
    assert_eq!(run("--first 1")["images"][0], images[1]);
    assert_ne!(
        run("--seed 8 --eta 1")["images"],
        run("--seed 9 --eta 1")["images"]
    );
}

#[test]
fn quantising_is_repeatable() {
    let s = sandbox();
    let file = |name: &str| fs::read(s.path(name)).unwrap();
    s.ok("quantise pipeline -o again.safetensors --steps 4 --images 3 --threads 1");
    assert!(file("again.safetensors") == file("model.safetensors"));
    s.ok("quantize pipeline -o other.safetensors --steps 4 --images 3 --seed 1");
    assert!(file("other.safetensors") != file("model.safetensors"));
    let report = s.json("quantize pipeline -o static.safetensors --method static-minmax --json");
    assert_eq!(report["provenance"]["method"], "static-minmax");
    assert_eq!(report["intervals"], 1);
    let report =
        s.json("quantize pipeline -o rows.safetensors --steps 4 --images 3 --rows 2 --json");
    assert_eq!(report["intervals"], 2);
    assert!(file("rows.safetensors").len() < file("model.safetensors").len());
    let many = "quantize pipeline -o many.safetensors --steps 4 --images 3 --rows 9 --json";
    assert_eq!(s.json(many)["intervals"], 4);
    assert!(file("many.safetensors") == file("model.safetensors"));
}

/// Layers make up for those before them where weights have 4 bits, and nowhere else unless asked to.
#[test]
fn rounding_follows_the_width_of_the_weights() {
    let s = sandbox();
    let file = |name: &str| fs::read(s.path(name)).unwrap();
    let run = |name: &str, more: &str| {
        let report = s.json(&format!(
            "quantize pipeline -o {name} --steps 4 --images 3 --json {more}"
        ));
        report["provenance"]["rounding"].clone()
    };
    assert_eq!(run("eight", "--rounding error-feedback"), "error-feedback");
    assert!(file("eight") == file("model.safetensors"), "the default");
    assert_eq!(run("four", "--weights 4 --threads 1"), "sequential");
    assert_eq!(
        run("four.2", "--weights 4 --rounding sequential --threads 2"),
        "sequential"
    );
    assert!(file("four") == file("four.2"), "whatever the threads");
    assert_eq!(
        run("apart", "--weights 4 --rounding error-feedback"),
        "error-feedback"
    );
    assert!(file("apart") != file("four"));
    assert_eq!(
        run("mixed", "--weights mixed --weight-budget 70%"),
        "sequential"
    );
    assert!(file("mixed").len() > file("four").len());
}

#[test]
fn integers_stay_close_to_float() {
    let s = sandbox();
    let report = s.json(
        "compare pipeline model.safetensors --steps 8 --count 6 --json -o compare.png --plot plot.svg",
    );
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 8);
    for step in steps {
        let error = step["output_relative_error"].as_f64().unwrap();
        assert!(error > 0.0 && error < 0.15, "{step}");
    }
    for image in report["images"].as_array().unwrap() {
        assert!(image["psnr_db"].as_f64().unwrap() > 25.0, "{image}");
    }
    assert!(report["psnr_db"].as_f64().unwrap() > 28.0, "{report}");
    assert!(
        fs::read_to_string(s.path("plot.svg"))
            .unwrap()
            .ends_with("</svg>\n")
    );
    // Each side is what `generate` makes.
    let common = "--steps 8 --count 6 --json -o side.png";
    let integer = s.json(&format!("generate {MODEL} {common}"));
    assert_eq!(report["sha256"]["integer"], integer["sha256"]);
    let float = s.json(&format!("generate --model pipeline --float {common}"));
    assert_eq!(report["sha256"]["float"], float["sha256"]);
    let text = s.ok("compare pipeline model.safetensors --steps 2 --count 2 -o compare2.png");
    assert_eq!(text.lines().count(), 5);
}

#[test]
fn predictions_are_close_in_both_arithmetics() {
    let s = sandbox();
    s.tensor(
        "sample.safetensors",
        "sample",
        &[2, 3, 8, 8],
        &normal(6, 384),
    );
    let predict = |more: &str, output: &str| {
        s.ok(&format!(
            "predict --sample sample.safetensors --timestep 50 --class cat,dog {more} -o {output}"
        ));
        read_tensor(&s.path(output), "noise_pred", [3, 8, 8]).unwrap()
    };
    let integer = predict(MODEL, "integer.safetensors");
    let float = predict("--model pipeline --float", "float.safetensors");
    assert_eq!(integer.shape, [2, 3, 8, 8]);
    let sum = |f: &dyn Fn(f32, f32) -> f32| -> f32 {
        integer
            .data
            .iter()
            .zip(&float.data)
            .map(|(&i, &f_)| f(i, f_).powi(2))
            .sum()
    };
    let error = (sum(&|i, f| i - f) / sum(&|_, f| f)).sqrt();
    assert!(error > 0.0 && error < 0.15, "{error}");
    let scalar = predict(
        &format!("{MODEL} --kernel scalar --threads 1"),
        "scalar.safetensors",
    );
    assert_eq!(scalar, integer);
}

#[test]
fn animations_have_a_frame_a_step_and_the_result() {
    let s = sandbox();
    let run = |file: &str| {
        let report = s.json(&format!(
            "generate {MODEL} --steps 6 --count 4 --scale 2 --animate {file} -o still.png --json"
        ));
        assert_eq!(report["outputs"], json!(["still.png", file]));
    };
    run("moving.apng");
    let file = std::io::BufReader::new(fs::File::open(s.path("moving.apng")).unwrap());
    let reader = png::Decoder::new(file).read_info().unwrap();
    assert_eq!(reader.info().animation_control().unwrap().num_frames, 7);
    assert_eq!((reader.info().width, reader.info().height), (44, 44));
    run("moving.gif");
    let file = fs::File::open(s.path("moving.gif")).unwrap();
    let mut decoder = gif::DecodeOptions::new().read_info(file).unwrap();
    let mut frames = 0;
    while decoder.read_next_frame().unwrap().is_some() {
        frames += 1;
    }
    assert_eq!(frames, 7);
}

#[test]
fn a_folder_is_quantised_for_the_run() {
    let s = sandbox();
    s.ok("quantize pipeline -o defaults.safetensors");
    let run = |model: &str| {
        s.json(&format!(
            "generate --model {model} --steps 2 --count 1 -o once.png --json"
        ))
    };
    assert_eq!(
        run("pipeline")["sha256"],
        run("defaults.safetensors")["sha256"]
    );
}

#[test]
fn info_tells_what_a_model_is() {
    let s = sandbox();
    let quantised = s.json("info model.safetensors --json");
    let float = s.json("info pipeline --json");
    for key in [
        "macs",
        "parameters",
        "classes",
        "config",
        "scheduler",
        "sample",
    ] {
        assert_eq!(quantised[key], float[key], "{key}");
    }
    let (layers, of_float) = [&quantised, &float]
        .map(|v| v["layers"].as_array().unwrap())
        .into();
    assert_eq!(layers.len(), of_float.len());
    for (layer, of_float) in layers.iter().zip(of_float) {
        // what a quantised layer adds is the width of its weights, and its steps
        let mut same = layer.clone();
        let fields = same.as_object_mut().unwrap();
        let weights = fields.remove("weights").is_some();
        assert_eq!(fields.remove("weight_bits").is_some(), weights);
        let kind = layer["kind"].as_str().unwrap();
        assert_eq!(weights, ["convolution", "linear"].contains(&kind), "{kind}");
        let steps = fields.remove("steps").unwrap();
        assert_eq!(steps.as_array().unwrap().len(), 4);
        assert!(steps[0].as_f64().unwrap() > 0.0);
        assert_eq!(&same, of_float);
    }
    assert_eq!(quantised["classes"], json!(["cat", "dog", "wild dog"]));
    let sources = [&quantised, &float].map(|v| v["provenance"]["source_sha256"].clone());
    assert_eq!(sources[0], sources[1]);
    let intervals = quantised["intervals"].as_array().unwrap();
    assert_eq!(intervals.len(), 4);
    assert_eq!(
        (&intervals[0]["first"], &intervals[3]["last"]),
        (&json!(0), &json!(99))
    );
    assert_eq!(
        quantised["bytes"],
        fs::metadata(s.path("model.safetensors")).unwrap().len()
    );
    let bytes = fs::read(s.path("model.safetensors")).unwrap();
    let arrays = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let size = |is: fn(&str) -> bool| -> usize {
        let all = arrays.iter().filter(|(name, _)| is(name));
        all.map(|(_, view)| view.data().len()).sum()
    };
    let tables = size(|name| name.starts_with("tensor.")) + 4 * intervals.len();
    let weights = size(|name| name.ends_with(".weight"));
    assert_eq!(quantised["table_bytes"], tables);
    let share = quantised["table_share"].as_f64().unwrap();
    assert!(
        (share - tables as f64 / weights as f64).abs() < 1e-9,
        "{share}"
    );
    let text = s.ok("info model.safetensors --layers");
    for part in [
        "4 intervals of time steps, ",
        "(quantised)",
        "wild dog",
        "dynamic-step",
        "4 intervals",
        "mid_block.attentions.0",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Phases are the default, and a model that is too small for them, or for split blocks, is the same file without.
#[test]
fn a_small_model_is_not_rewritten() {
    let s = sandbox();
    let quantize = "quantize pipeline --steps 4 --images 3 -o";
    s.ok(&format!("{quantize} phases.safetensors"));
    s.ok(&format!(
        "{quantize} nearest.safetensors --upsample nearest"
    ));
    s.ok(&format!("{quantize} split.safetensors --skips split"));
    let files = ["phases", "nearest", "split"];
    let files = files.map(|f| fs::read(s.path(&format!("{f}.safetensors"))).unwrap());
    assert!(files[0] == files[1] && files[0] == files[2]);
    let text = s.ok("info phases.safetensors");
    assert!(!text.contains("in phases") && !text.contains("by themselves"));
}

/// One block of 16x16 pixels has groups that lie in one stream each; the same images from the processor and the simulator.
#[test]
fn a_model_with_split_blocks() {
    let s = sandbox();
    common::write_pipeline(&s.path("sixteen"), None);
    let config = s.path("sixteen/unet/config.json");
    let text = fs::read_to_string(&config).unwrap();
    let larger = text.replace(r#""sample_size":8"#, r#""sample_size":16"#);
    assert_ne!(text, larger);
    fs::write(&config, larger).unwrap();
    let quantize = "quantize sixteen --steps 4 --images 3 -o";
    s.ok(&format!("{quantize} whole.safetensors"));
    s.ok(&format!("{quantize} parts.safetensors --skips split"));
    let [whole, parts] =
        ["whole", "parts"].map(|f| s.json(&format!("info {f}.safetensors --json")));
    assert_eq!(whole["rewrites"], json!({ "phases_from": 256 }));
    assert_eq!(
        parts["rewrites"],
        json!({ "phases_from": 256, "split_from": 256 })
    );
    for same in ["parameters", "macs", "weight_bytes"] {
        assert_eq!(whole[same], parts[same], "{same}");
    }
    let text = s.ok("info parts.safetensors --layers");
    for part in [
        "1 convolved by themselves, those with at least 256 pixels",
        "up_blocks.1.resnets.1.conv1.skip",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let generate = "generate --model parts.safetensors --steps 2 --count 2 -o";
    s.ok(&format!("{generate} cpu.png"));
    s.ok(&format!("{generate} sim.png --device sim"));
    let images = ["cpu", "sim"].map(|f| fs::read(s.path(&format!("{f}.png"))).unwrap());
    assert!(images[0] == images[1]);
}

#[test]
fn the_embedded_model_works() {
    let s = sandbox();
    let report = s.json("generate --steps 1 --count 1 -o embedded.png --json");
    assert_eq!(report["model"], "embedded");
    let info = s.json("info --json");
    assert!(info["macs"].as_u64().unwrap() > 0);
    assert_eq!(info["rewrites"], json!({ "phases_from": 256 }));
    let text = s.ok("info");
    let line = "2 convolutions behind it in phases, those with at least 256 pixels";
    assert!(text.contains(line), "{text}");
}

#[test]
fn an_interrupted_calibration_goes_on_where_it_was() {
    let s = sandbox();
    let float = diffuser::FloatModel::load(s.path("pipeline")).unwrap();
    let settings = diffuser_quant::CalibrationSettings {
        sampler: float.profile().default_sampler(),
        steps: 4,
        images: 3,
        seed: 9,
        rounding: diffuser_quant::Rounding::default(),
        rewrites: diffuser_model::rewrite::Rewrites::PHASES,
    };
    let scheduler = &float.profile().scheduler;
    let mut calibrator =
        diffuser_quant::Calibrator::new(float.pipeline(), scheduler, settings).unwrap();
    for _ in 0..2 {
        calibrator.step(&|_, _| {}).unwrap();
    }
    let unfinished = s.path("taken-up.safetensors.calibration");
    calibrator.save(&unfinished).unwrap();
    let quantize = "quantize pipeline --steps 4 --images 3 -o";
    // another seed's is refused, and kept
    let ran = s.run(&format!("{quantize} taken-up.safetensors --seed 8"));
    assert_eq!(
        (ran.code, ran.stderr.lines().count()),
        (Some(1), 1),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("seed 9") && ran.stderr.contains("seed 8"));
    assert!(unfinished.exists());
    s.ok(&format!("{quantize} taken-up.safetensors --seed 9"));
    assert!(!unfinished.exists());
    s.ok(&format!("{quantize} at-once.safetensors --seed 9"));
    assert_eq!(
        fs::read(s.path("taken-up.safetensors")).unwrap(),
        fs::read(s.path("at-once.safetensors")).unwrap()
    );
}
