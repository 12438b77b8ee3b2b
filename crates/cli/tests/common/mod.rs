//! A folder of its own for each test, a tiny pipeline in it, and the command run there.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use diffuser::UnetConfig;
use diffuser_model::build_graph::parameters;
use diffuser_model::noise::{Purpose, noise};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

/// A folder to work in.
pub struct Sandbox(tempfile::TempDir);

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Sandbox {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a pipeline `pipeline` of three classes and the file `model.safetensors` made of it.
    pub fn with_model() -> Self {
        let sandbox = Self::new();
        write_pipeline(&sandbox.path("pipeline"), Some(3));
        sandbox.ok("quantize pipeline -o model.safetensors --steps 4 --images 3");
        sandbox
    }

    /// Adds the extractor `tiny.onnx` with `tiny.json`, and the data set `images.parquet`: 48 pictures of 16 x 16
    /// pixels, every fourth a skin variant.
    pub fn add_extractor(&self) {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../evaluate/tests/data");
        for name in ["tiny.onnx", "images.parquet"] {
            fs::copy(data.join(name), self.path(name)).unwrap();
        }
        let preprocessing = json!({
            "name": "tiny",
            "size": [24, 24],
            "resize": "bicubic",
            "mean": [127, 127, 127],
            "deviation": [128, 128, 128],
            "features": "feat",
            "logits": "logits",
        });
        fs::write(self.path("tiny.json"), preprocessing.to_string()).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_diffuser"));
        command
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .env_remove("DIFFUSER_KERNEL")
            .env_remove("DIFFUSER_EXTRACTOR")
            // No extractor that happens to be installed.
            .env("XDG_CACHE_HOME", self.0.path())
            .env_remove("COLUMNS")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &str) -> Ran {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(arguments).output().unwrap();
        Ran {
            code: status.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Runs what must succeed, in silence.
    pub fn ok(&self, arguments: &str) -> String {
        let ran = self.run(arguments);
        assert_eq!(
            (ran.code, ran.stderr.as_str()),
            (Some(0), ""),
            "diffuser {arguments}"
        );
        ran.stdout
    }

    /// Runs what must succeed and print JSON.
    pub fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    /// Names of all files and folders, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Writes a safetensors file of one tensor.
    pub fn tensor(&self, file: &str, name: &str, shape: &[usize], data: &[f32]) {
        write_tensors(
            &self.path(file),
            &[(name.to_owned(), shape.to_vec(), data.to_vec())],
        );
    }
}

/// A pipeline folder as `diffusers` saves it: 8 x 8 pixels, two resolutions, attention, random weights.
pub fn write_pipeline(folder: &Path, classes: Option<usize>) {
    let config = json!({
        "_class_name": "UNet2DModel",
        "sample_size": 8,
        "in_channels": 3,
        "out_channels": 3,
        "layers_per_block": 1,
        "block_out_channels": [8, 16],
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
        "norm_num_groups": 4,
        "attention_head_dim": 8,
        "num_class_embeds": classes,
    });
    let scheduler = json!({
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": 100,
        "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": "v_prediction",
        "timestep_spacing": "trailing",
    });
    let mut index = json!({
        "_class_name": "DDIMPipeline",
        "scheduler": ["diffusers", "DDIMScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
    });
    if let Some(classes) = classes {
        let names = ["cat", "dog", "wild dog"];
        index["id2label"] = (0..classes.min(names.len()))
            .map(|i| (i.to_string(), json!(names[i])))
            .collect();
    }
    fs::create_dir_all(folder.join("unet")).unwrap();
    fs::create_dir_all(folder.join("scheduler")).unwrap();
    let text = |name: &str, value: &Value| fs::write(folder.join(name), value.to_string()).unwrap();
    text("unet/config.json", &config);
    text("scheduler/scheduler_config.json", &scheduler);
    text("model_index.json", &index);
    let config = UnetConfig::from_value(&config).unwrap();
    let tensors: Vec<_> = parameters(&config)
        .unwrap()
        .into_iter()
        .enumerate()
        .map(|(i, p)| {
            let fan_in: usize = p.shape[1..].iter().product();
            let (mean, spread) = match (p.shape.len(), p.name.ends_with(".weight")) {
                (1, true) => (1.0, 0.2),
                (1, false) => (0.0, 0.1),
                _ => (0.0, (fan_in as f32).sqrt().recip()),
            };
            let data = normal(i as u64, p.shape.iter().product());
            (
                p.name,
                p.shape,
                data.into_iter().map(|x| mean + spread * x).collect(),
            )
        })
        .collect();
    write_tensors(
        &folder.join("unet/diffusion_pytorch_model.safetensors"),
        &tensors,
    );
}

/// Normal numbers, the same in every run.
pub fn normal(stream: u64, length: usize) -> Vec<f32> {
    let fixed = noise(99, stream, Purpose::Start, length);
    fixed
        .into_iter()
        .map(|x| x as f32 / (1 << 24) as f32)
        .collect()
}

fn write_tensors(path: &Path, tensors: &[(String, Vec<usize>, Vec<f32>)]) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, data)| data.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (
            name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
        )
    });
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}
