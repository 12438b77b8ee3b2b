//! Every golden model gives the outputs that `diffusers` gave; `golden/make.py` made them.

use std::path::{Path, PathBuf};

use diffuser_model::import::Pipeline;
use diffuser_model::rewrite::Rewrites;
use diffuser_reference::layout::{chw_from_hwc, hwc_from_chw};
use diffuser_reference::{FloatUnet, Observer};
use safetensors::SafeTensors;

/// Share of the largest output that may be rounding.
const TOLERANCE: f32 = 1e-5;

fn folders() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let list = |root: &Path| {
        let entries = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path());
        entries.filter(|p| p.is_dir()).collect::<Vec<_>>()
    };
    let mut folders = list(&own);
    assert_eq!(folders.len(), 15);
    // more of them, if somebody has made some
    if let Some(more) = std::env::var_os("DIFFUSER_GOLDEN") {
        folders.extend(list(Path::new(&more)));
    }
    folders.sort();
    folders
}

fn floats(file: &SafeTensors, name: &str) -> Vec<f32> {
    let data = file.tensor(name).unwrap().data();
    data.as_chunks()
        .0
        .iter()
        .map(|&b| f32::from_le_bytes(b))
        .collect()
}

fn integers(file: &SafeTensors, name: &str) -> Option<Vec<i64>> {
    let data = file.tensor(name).ok()?.data();
    Some(
        data.as_chunks()
            .0
            .iter()
            .map(|&b| i64::from_le_bytes(b))
            .collect(),
    )
}

/// Checks that tensors come in the graph's order and sizes.
struct Order<'a>(&'a FloatUnet, usize);

impl Observer for Order<'_> {
    fn tensor(&mut self, id: usize, data: &[f32]) {
        assert_eq!(id, self.1);
        assert_eq!(data.len(), self.0.graph().tensors[id].len());
        self.1 += 1;
    }
}

#[test]
fn outputs_match_diffusers() {
    outputs_match(Rewrites::NONE);
}

/// Everywhere in phases, and every block split whose groups allow it.
#[test]
fn outputs_of_rewritten_networks_match_diffusers() {
    outputs_match(Rewrites {
        phases_from: Some(1),
        split_from: Some(1),
    });
}

fn outputs_match(rewrites: Rewrites) {
    for folder in folders() {
        let pipeline = Pipeline::load(&folder).unwrap();
        let unet = FloatUnet::with_rewrites(&pipeline.config, &pipeline.weights, rewrites).unwrap();
        let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
        let golden = SafeTensors::deserialize(&bytes).unwrap();
        let sample = hwc_from_chw(&floats(&golden, "sample"), pipeline.config.in_channels);
        let classes = integers(&golden, "classes");
        let outputs = floats(&golden, "outputs");
        let timesteps = integers(&golden, "timesteps").unwrap();
        let expected = outputs.chunks_exact(outputs.len() / timesteps.len());
        for (i, (&t, expected)) in timesteps.iter().zip(expected).enumerate() {
            let class = classes.as_ref().map(|c| usize::try_from(c[i]).unwrap());
            #[expect(clippy::cast_precision_loss, reason = "time steps are small")]
            let embedding = unet.embedding(t as f64, class).unwrap();
            let mut order = Order(&unet, 0);
            let output = unet.evaluate(&sample, &embedding, &mut order).unwrap();
            assert_eq!(order.1, unet.graph().tensors.len());
            let output = chw_from_hwc(&output, pipeline.config.out_channels);
            assert_eq!(output.len(), expected.len());
            let largest = expected.iter().fold(0.0f32, |m, x| m.max(x.abs()));
            let errors = output.iter().zip(expected).map(|(a, b)| (a - b).abs());
            let error = errors.fold(0.0, f32::max) / largest;
            println!(
                "{}, t = {t}: {error:.1e}",
                folder.file_name().unwrap().display()
            );
            assert!(
                error < TOLERANCE,
                "{} at {t}: error {error}",
                folder.display()
            );
        }
    }
}
