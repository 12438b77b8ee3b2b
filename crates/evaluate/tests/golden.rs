//! Held against Pillow and ONNX Runtime; `data/make.py` writes the files and the figures.

use std::path::{Path, PathBuf};

use diffuser_evaluate::{Error, Extractor, Filter, Images, Picture, Preprocessing, Resize};
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn golden() -> Value {
    serde_json::from_str(include_str!("data/golden.json")).expect("golden.json is JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().expect("a list").iter();
    values.map(|v| v.as_f64().expect("a number")).collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    numbers(value).into_iter().map(|v| v as u8).collect()
}

fn assert_near(got: &[f32], want: &Value, most: f64, what: &str) {
    let want = numbers(want);
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (&g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            (f64::from(g) - w).abs() <= most,
            "{what}: value {i} is {g}, expected {w}"
        );
    }
}

/// As the extractor of the tests wants pictures.
fn preprocessing() -> Preprocessing {
    Preprocessing {
        name: "tiny".into(),
        size: [24, 24],
        ..Preprocessing::presets()[0].clone()
    }
}

fn read(images: &Images) -> Vec<Picture> {
    let mut all = Vec::new();
    let visit = &mut |p| {
        all.push(p);
        Ok::<(), Error>(())
    };
    images.read(visit).expect("readable");
    all
}

fn filter(text: &str) -> Filter {
    text.parse().expect("COLUMN=VALUE")
}

#[test]
fn every_way_of_resizing_is_that_of_its_namesake() {
    let golden = golden();
    let noise = Picture::new(7, 5, 3, &bytes(&golden["noise"])).expect("7 x 5");
    for case in golden["resized"].as_array().expect("cases") {
        let resize: Resize = serde_json::from_value(case["resize"].clone()).expect("a way");
        let size = numbers(&case["size"]);
        let got = resize.planes(&noise, [size[0] as usize, size[1] as usize]);
        assert_near(
            &got,
            &case["planes"],
            2e-4,
            &format!("{resize:?} to {size:?}"),
        );
    }
}

#[test]
fn shrinking_gives_the_bytes_of_pillow() {
    let golden = golden();
    let large = Picture::new(18, 12, 3, &bytes(&golden["large"])).expect("18 x 12");
    for case in golden["shrunk"].as_array().expect("cases") {
        let factor = case["factor"].as_u64().expect("a factor") as usize;
        let got = large.shrink(factor);
        assert_eq!(got.pixels(), bytes(&case["pixels"]), "by {factor}");
    }
}

#[test]
fn features_are_those_of_onnx_runtime_on_any_number_of_threads() {
    let extractor = Extractor::open(&data("tiny.onnx"), preprocessing()).expect("an extractor");
    assert_eq!((extractor.dim(), extractor.classes()), (12, 5));
    let pictures = read(&Images::open(&data("images.parquet"), vec![]).expect("images"));
    let rows = extractor.rows(&pictures, 1).expect("rows");
    for (row, want) in rows
        .iter()
        .zip(golden()["features"].as_array().expect("rows"))
    {
        assert_near(&row[..12], &want["features"], 1e-5, "features");
        assert_near(&row[12..], &want["logits"], 1e-5, "logits");
    }
    assert_eq!(rows.len(), 48);
    assert_eq!(extractor.rows(&pictures, 3).expect("rows"), rows);
}

#[test]
fn parquet_gives_the_pictures_of_the_rows_that_filters_keep() {
    let all = read(&Images::open(&data("images.parquet"), vec![]).expect("images"));
    assert_eq!(all.len(), 48);
    for (picture, want) in all
        .iter()
        .zip(golden()["pixels"].as_array().expect("pictures"))
    {
        assert_eq!((picture.width(), picture.height()), (16, 16));
        assert_eq!(picture.pixels(), bytes(want));
    }
    let kept = |filters: &[&str], keeps: &dyn Fn(usize) -> bool| {
        let filters = filters.iter().map(|f| filter(f)).collect();
        let images = Images::open(&data("images.parquet"), filters).expect("images");
        let want: Vec<_> = (0..48)
            .filter(|i| keeps(*i))
            .map(|i| all[i].clone())
            .collect();
        assert_eq!(read(&images), want);
        images.identity().expect("readable")
    };
    let identities = [
        kept(&[], &|_| true),
        kept(&["skin_variant=false"], &|i| i % 4 != 3),
        kept(&["label=2"], &|i| i % 3 == 2),
        kept(&["style=noto", "label=1"], &|i| i % 2 == 1 && i % 3 == 1),
    ];
    for (i, a) in identities.iter().enumerate() {
        assert!(identities[..i].iter().all(|b| a != b), "each its own");
    }
}

#[test]
fn folders_hold_png_and_jpeg() {
    let jpeg = std::fs::read(data("picture.jpg")).expect("readable");
    let decoded = Picture::decode(&jpeg).expect("a JPEG");
    let want = bytes(&golden()["pixels"][0]);
    let error: u32 = decoded
        .pixels()
        .iter()
        .zip(&want)
        .map(|(a, b)| u32::from(a.abs_diff(*b)))
        .sum();
    // what JPEG loses of a sharp edge
    assert!(f64::from(error) / (want.len() as f64) < 6.0, "{error}");

    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("b.JPG"), &jpeg).expect("written");
    std::fs::write(folder.path().join("a.jpeg"), &jpeg).expect("written");
    std::fs::write(folder.path().join("notes.txt"), "no image").expect("written");
    let images = Images::open(folder.path(), vec![]).expect("images");
    assert_eq!(read(&images), [decoded.clone(), decoded]);
    let before = images.identity().expect("names");
    std::fs::rename(folder.path().join("a.jpeg"), folder.path().join("c.jpeg")).expect("moved");
    let after = Images::open(folder.path(), vec![]).expect("images");
    assert_ne!(after.identity().expect("names"), before);
}

#[test]
fn a_folder_of_parquet_files_is_one_set() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a.parquet", "b.parquet"] {
        std::fs::copy(data("images.parquet"), folder.path().join(name)).expect("copied");
    }
    let images = Images::open(folder.path(), vec![filter("label=0")]).expect("images");
    assert_eq!(read(&images).len(), 32);
}

/// One line each, which names the file.
#[test]
fn what_is_wrong_with_files_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("text"), "no parquet").expect("written");
    std::fs::create_dir(path("pictures")).expect("made");
    std::fs::write(path("pictures/a.png"), "no picture").expect("written");
    std::fs::create_dir(path("empty")).expect("made");
    let whole = std::fs::read(data("tiny.onnx")).expect("readable");
    std::fs::write(path("cut.onnx"), &whole[..whole.len() / 2]).expect("written");
    let images = |path: PathBuf, filters: &[&str]| {
        let filters = filters.iter().map(|f| filter(f)).collect();
        let visit = &mut |_| Ok::<(), Error>(());
        Images::open(&path, filters)
            .and_then(|i| i.read(visit))
            .err()
    };
    let extractor = |path: PathBuf, p: Preprocessing| Extractor::open(&path, p).err();
    let output = |name: &str| Preprocessing {
        features: Some(name.into()),
        ..preprocessing()
    };
    let cases = [
        (images(path("missing"), &[]), "cannot read"),
        (images(path("text"), &[]), "text: "),
        (images(path("empty"), &[]), "no images"),
        (images(path("pictures"), &[]), "neither PNG nor JPEG"),
        (images(path("pictures"), &["a=b"]), "no columns"),
        (
            images(data("images.parquet"), &["color=red"]),
            "no column color",
        ),
        (extractor(path("missing"), preprocessing()), "cannot read"),
        (
            extractor(path("text"), preprocessing()),
            "no ONNX file that can be run",
        ),
        (
            extractor(path("cut.onnx"), preprocessing()),
            "no ONNX file that can be run",
        ),
        (
            extractor(data("tiny.onnx"), output("pool")),
            "no output is called pool",
        ),
    ];
    for (error, wanted) in cases {
        let line = error.expect(wanted).to_string();
        assert!(line.contains(wanted), "{line}");
    }
}
