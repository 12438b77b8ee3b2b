//! Held against numpy, scipy, scikit-image, torchmetrics and prdc; `golden/make.py` writes the figures.

mod common;

use diffuser_metrics::{
    Features, Moments, frechet_distance,
    inception::{SPLITS, inception_score},
    kernel::kernel_distance,
    paired::{Image, psnr, ssim},
    precision_recall::{NEIGHBOURS, precision_recall},
};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/golden.json")).expect("golden.json is JSON")
}

fn float(v: &Value) -> f64 {
    v.as_f64().expect("a number")
}

fn whole(v: &Value) -> usize {
    v.as_u64().expect("a whole number") as usize
}

fn assert_near(got: f64, want: f64, relative: f64, what: &str) {
    let error = (got - want).abs() / want.abs();
    assert!(
        error <= relative,
        "{what}: {got}, expected {want}, error {error:e}"
    );
}

/// Runs `check` on both sides of every case.
fn each(check: impl Fn(&Value, Features, Features, &str)) {
    let golden = golden();
    for case in golden["sets"].as_array().expect("cases") {
        let dim = whole(&case["dim"]);
        let side = |seed, s: &Value| {
            let shift = whole(&s["shift"]) as u64;
            common::features(seed, whole(&s["rows"]), dim, shift)
        };
        let (a, b) = (side(1, &case["left"]), side(2, &case["right"]));
        let (a, b) = (Features::new(&a, dim), Features::new(&b, dim));
        let name = case["name"].as_str().expect("a name");
        check(case, a.expect("features"), b.expect("features"), name);
    }
}

#[test]
fn covariances_are_those_of_numpy() {
    each(|case, a, _, name| {
        let got = Moments::of(a).covariance().expect("rows enough");
        for (got, want) in got
            .iter()
            .zip(case["covariance_0"].as_array().expect("row"))
        {
            assert!((got - float(want)).abs() < 1e-13, "{name}: {got} {want}");
        }
    });
}

#[test]
fn frechet_distances_are_exact_and_agree_with_scipy_and_torchmetrics() {
    each(|case, a, b, name| {
        let (a, b) = (Moments::of(a), Moments::of(b));
        let want = &case["frechet"];
        for (a, b) in [(&a, &b), (&b, &a)] {
            let got = frechet_distance(a, b).expect("defined");
            assert_near(got.mean_term, float(&want["mean_term"]), 1e-12, name);
            assert_near(got.distance, float(&want["by_data"]), 1e-7, name);
            assert_near(got.distance, float(&want["scipy_sqrtm"]), 1e-6, name);
            assert_near(got.distance, float(&want["torchmetrics"]), 1e-6, name);
        }
    });
}

#[test]
fn kernel_distances_are_unbiased_estimates() {
    each(|case, a, b, name| {
        let got = kernel_distance(a, b).expect("defined");
        // products in f32, of a kernel whose mean is a thousand times the distance
        assert_near(got, float(&case["kernel_distance"]), 1e-4, name);
    });
}

#[test]
fn precision_and_recall_are_those_of_prdc() {
    each(|case, a, b, name| {
        let got = precision_recall(a, b, NEIGHBOURS).expect("defined");
        let want = &case["prdc"];
        for (got, what) in [
            (got.precision, "precision"),
            (got.recall, "recall"),
            (got.density, "density"),
            (got.coverage, "coverage"),
        ] {
            assert_near(got, float(&want[what]), 1e-12, &format!("{name} {what}"));
        }
    });
}

#[test]
fn inception_scores_are_those_of_the_papers_code() {
    each(|case, a, _, name| {
        let logits: Vec<f32> = a.values().iter().map(|v| 4.0 * v).collect();
        let logits = Features::new(&logits, a.dim()).expect("logits");
        let got = inception_score(logits, SPLITS).expect("defined");
        assert_near(got.mean, float(&case["inception"]["mean"]), 1e-10, name);
        assert_near(got.std, float(&case["inception"]["std"]), 1e-9, name);
    });
}

#[test]
fn psnr_and_ssim_are_those_of_scikit_image() {
    let golden = golden();
    for case in golden["images"].as_array().expect("cases") {
        let (height, width) = (whole(&case["height"]), whole(&case["width"]));
        let (a, b) = common::images(whole(&case["seed"]) as u64, height, width);
        let image = |pixels| Image::new(pixels, width, height, 3).expect("an image");
        let (a, b) = (image(&a), image(&b));
        let got = psnr(a, b).expect("one shape");
        assert_near(got, float(&case["psnr"]), 1e-12, "psnr");
        let got = ssim(a, b).expect("one shape");
        assert_near(got, float(&case["ssim"]), 1e-9, "ssim");
    }
}
