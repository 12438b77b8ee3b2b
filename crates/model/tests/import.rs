//! Model folders: the three layouts, and folders that are broken.

use std::fs;
use std::path::Path;

use diffuser_model::build_graph::parameters;
use diffuser_model::config::UnetConfig;
use diffuser_model::import::{MAX_JSON, Pipeline};
use diffuser_model::weights::Weights;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};

const CONFIG: &str = r#"{"sample_size": 4, "block_out_channels": [4], "norm_num_groups": 2,
    "layers_per_block": 1, "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"],
    "attention_head_dim": null, "num_class_embeds": 3}"#;
const INDEX: &str = r#"{"_class_name": "DDIMPipeline", "id2label": {"1": "dog", "0": "cat"},
    "scheduler": ["diffusers", "DDIMScheduler"], "unet": ["diffusers", "UNet2DModel"]}"#;
const SCHEDULER: &str = r#"{"_class_name": "DDIMScheduler", "num_train_timesteps": 1000}"#;
const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

fn weights() -> (Weights, Vec<u8>) {
    let expected = parameters(&UnetConfig::from_json(CONFIG).unwrap()).unwrap();
    let weights = Weights::random(&expected, 1);
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = weights
        .iter()
        .map(|(name, t)| {
            (
                name.into(),
                t.shape.clone(),
                t.data.iter().flat_map(|x| x.to_le_bytes()).collect(),
            )
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(n, shape, data)| (n, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    let file = serialize(views, None).unwrap();
    (weights, file)
}

fn write(folder: &Path, files: &[(&str, &[u8])]) {
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// A whole pipeline folder with one file replaced, or removed.
fn refusal(file: &str, content: Option<&[u8]>) -> String {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            ("model_index.json", INDEX.as_bytes()),
            ("unet/config.json", CONFIG.as_bytes()),
            (&format!("unet/{WEIGHTS}"), &weights().1),
            ("scheduler/scheduler_config.json", SCHEDULER.as_bytes()),
        ],
    );
    Pipeline::load(folder.path()).unwrap();
    match content {
        Some(content) => write(folder.path(), &[(file, content)]),
        None => fs::remove_file(folder.path().join(file)).unwrap(),
    }
    let message = Pipeline::load(folder.path()).unwrap_err().to_string();
    assert!(!message.contains('\n') && message.len() < 500, "{message}");
    message.replace(&folder.path().display().to_string(), "FOLDER")
}

#[test]
fn a_pipeline_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (expected, bytes) = weights();
    write(
        folder.path(),
        &[
            ("model_index.json", INDEX.as_bytes()),
            ("unet/config.json", CONFIG.as_bytes()),
            (&format!("unet/{WEIGHTS}"), &bytes),
            ("scheduler/scheduler_config.json", SCHEDULER.as_bytes()),
        ],
    );
    let pipeline = Pipeline::load(folder.path()).unwrap();
    assert_eq!(pipeline.config, UnetConfig::from_json(CONFIG).unwrap());
    assert_eq!(pipeline.class_names, ["cat", "dog"]);
    assert_eq!(pipeline.scheduler.unwrap()["num_train_timesteps"], 1000);
    assert!(pipeline.weights.iter().eq(expected.iter()));
    assert!(pipeline.weights.sha256().is_some());
}

#[test]
fn a_flat_pipeline_and_a_bare_unet() {
    let folder = tempfile::tempdir().unwrap();
    let half = "diffusion_pytorch_model.fp16.safetensors";
    write(
        folder.path(),
        &[("config.json", CONFIG.as_bytes()), (half, &weights().1)],
    );
    let bare = Pipeline::load(folder.path()).unwrap();
    assert!(bare.scheduler.is_none() && bare.class_names.is_empty());

    write(
        folder.path(),
        &[
            ("model_index.json", INDEX.as_bytes()),
            ("scheduler_config.json", SCHEDULER.as_bytes()),
        ],
    );
    let flat = Pipeline::load(folder.path()).unwrap();
    assert!(flat.scheduler.is_some());
    assert_eq!((flat.weights, flat.class_names.len()), (bare.weights, 2));
}

#[test]
fn files_that_are_missing_are_named() {
    for (file, expected) in [
        ("unet/config.json", "cannot read FOLDER/unet/config.json: "),
        (
            "scheduler/scheduler_config.json",
            "cannot read FOLDER/scheduler/scheduler_config.json: ",
        ),
        (
            &format!("unet/{WEIGHTS}"),
            "FOLDER/unet: no diffusion_pytorch_model.safetensors here",
        ),
    ] {
        let message = refusal(file, None);
        assert!(message.starts_with(expected), "{message}");
    }
    let nowhere = Pipeline::load(Path::new("/nowhere/at/all"))
        .unwrap_err()
        .to_string();
    assert!(
        nowhere.starts_with("cannot read /nowhere/at/all/config.json: "),
        "{nowhere}"
    );
}

#[test]
fn other_kinds_of_weight_files_are_explained() {
    for (file, expected) in [
        ("diffusion_pytorch_model.bin", "pickle"),
        (
            "diffusion_pytorch_model.safetensors.index.json",
            "several files",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            &[("config.json", CONFIG.as_bytes()), (file, b"")],
        );
        let message = Pipeline::load(folder.path()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn broken_content_is_refused_with_its_file() {
    let long = vec![b' '; usize::try_from(MAX_JSON).unwrap() + 1];
    let deep = vec![b'['; 100_000];
    let label = |text: &str| format!(r#"{{"id2label": {text}}}"#).into_bytes();
    let index = "FOLDER/model_index.json: ";
    let cases: [(&str, &[u8], String); 12] = [
        ("model_index.json", b"{", format!("{index}not JSON: EOF")),
        (
            "model_index.json",
            b"[]",
            format!("{index}not a JSON object"),
        ),
        ("model_index.json", b"\xff", format!("{index}not JSON: ")),
        (
            "model_index.json",
            &deep,
            format!("{index}not JSON: recursion limit"),
        ),
        (
            "model_index.json",
            &label("[]"),
            format!("{index}`id2label` is []; expected an object"),
        ),
        (
            "model_index.json",
            &label(r#"{"0": 7}"#),
            format!("{index}`id2label.0` is 7; expected a name"),
        ),
        (
            "model_index.json",
            &label(r#"{"1": "a"}"#),
            format!("{index}`id2label` is incomplete; expected a name for 0"),
        ),
        (
            "model_index.json",
            &label(r#"{"0":"a","1":"b","2":"c","3":"d"}"#),
            format!("{index}`id2label` is 4 names; expected at most 3"),
        ),
        (
            "unet/config.json",
            b"[]",
            "FOLDER/unet/config.json: not a JSON object".into(),
        ),
        (
            "unet/config.json",
            br#"{"sample_size": 4, "act_fn": "mish"}"#,
            "FOLDER/unet/config.json: `act_fn` is \"mish\"; expected".into(),
        ),
        (
            "unet/config.json",
            br#"{"sample_size": 32, "norm_num_groups": 48}"#,
            "FOLDER/unet/config.json: `norm_num_groups` is 48; expected a divisor of 224".into(),
        ),
        (
            "scheduler/scheduler_config.json",
            &long,
            "FOLDER/scheduler/scheduler_config.json: longer than".into(),
        ),
    ];
    for (file, content, expected) in cases {
        let message = refusal(file, Some(content));
        assert!(
            message.starts_with(&expected),
            "{message}\nlacks {expected}"
        );
    }
    let message = refusal(&format!("unet/{WEIGHTS}"), Some(&weights().1[..500]));
    assert!(
        message.starts_with(&format!("FOLDER/unet/{WEIGHTS}: not a safetensors file")),
        "{message}"
    );
}
