//! Weight files: what is read, what is refused and how it is said.

use std::collections::BTreeMap;

use diffuser_model::build_graph::{Parameter, parameters};
use diffuser_model::config::UnetConfig;
use diffuser_model::error::Error;
use diffuser_model::weights::{MAX_HEADER, Tensor, Weights};
use half::{bf16, f16};
use proptest::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};

fn parameter(name: &str, shape: &[usize]) -> Parameter {
    Parameter {
        name: name.into(),
        shape: shape.into(),
    }
}

fn expected() -> Vec<Parameter> {
    vec![
        parameter("a.weight", &[2, 3]),
        parameter("mid.attentions.0.to_q.bias", &[2]),
    ]
}

/// Values 1, 2, ... as little-endian bytes.
fn values(count: u8, dtype: Dtype) -> Vec<u8> {
    let numbers = (1..=count).map(f32::from);
    match dtype {
        Dtype::F32 => numbers.flat_map(f32::to_le_bytes).collect(),
        Dtype::F16 => numbers
            .flat_map(|x| f16::from_f32(x).to_le_bytes())
            .collect(),
        Dtype::BF16 => numbers
            .flat_map(|x| bf16::from_f32(x).to_le_bytes())
            .collect(),
        Dtype::F64 => numbers.flat_map(|x| f64::from(x).to_le_bytes()).collect(),
        _ => unreachable!("not used here"),
    }
}

type Entry<'a> = (&'a str, Dtype, &'a [usize], Vec<u8>);

fn file(entries: &[Entry]) -> Vec<u8> {
    let views = entries.iter().map(|(name, dtype, shape, data)| {
        (
            *name,
            TensorView::new(*dtype, shape.to_vec(), data).unwrap(),
        )
    });
    serialize(views, None).unwrap()
}

fn good() -> Vec<u8> {
    file(&[
        ("a.weight", Dtype::F32, &[2, 3], values(6, Dtype::F32)),
        (
            "mid.attentions.0.to_q.bias",
            Dtype::F16,
            &[2],
            values(2, Dtype::F16),
        ),
    ])
}

/// The message for a file's bytes; reading from a file gives the same one after the file's name.
fn refusal(bytes: &[u8]) -> String {
    let message = Weights::from_bytes(bytes, &expected())
        .unwrap_err()
        .to_string();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    std::fs::write(&path, bytes).unwrap();
    let from_file = Weights::load(&path, &expected()).unwrap_err().to_string();
    assert_eq!(from_file, format!("{}: {message}", path.display()));
    assert!(!message.contains('\n') && message.len() < 400, "{message}");
    message
}

#[test]
fn all_three_types_are_read() {
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        let bytes = file(&[
            ("a.weight", dtype, &[2, 3], values(6, dtype)),
            ("mid.attentions.0.to_q.bias", dtype, &[2], values(2, dtype)),
        ]);
        let weights = Weights::from_bytes(&bytes, &expected()).unwrap();
        let tensor = weights.get("a.weight").unwrap();
        assert_eq!(
            *tensor,
            Tensor {
                shape: vec![2, 3],
                data: vec![1., 2., 3., 4., 5., 6.]
            }
        );
        assert_eq!(weights.count(), 8);
        assert_eq!(weights.iter().count(), 2);
        assert!(weights.get("b").unwrap_err().to_string().contains("`b`"));
    }
}

#[test]
fn the_hash_is_that_of_the_file() {
    // a file of no tensors; its hash is from sha256sum
    let weights = Weights::from_bytes(b"\x08\0\0\0\0\0\0\0{}      ", &[]).unwrap();
    let hex: String = weights
        .sha256()
        .unwrap()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(
        hex,
        "9bbcbf73561f6bc5d0a17ea6a2081feed2d1304e87602d8c502d9a5c4bd85576"
    );
    assert_eq!(Weights::random(&expected(), 1).sha256(), None);
}

#[test]
fn old_attention_names_are_read_as_new_ones() {
    let parameters: Vec<_> = ["to_q", "to_k", "to_v", "to_out.0"]
        .map(|n| parameter(&format!("mid_block.attentions.0.{n}.weight"), &[1]))
        .into();
    let names = ["query", "key", "value", "proj_attn"]
        .map(|n| format!("mid_block.attentions.0.{n}.weight"));
    let numbers: Vec<_> = (1..5u8)
        .map(|i| f32::from(i).to_le_bytes().to_vec())
        .collect();
    let entries: Vec<Entry> = names
        .iter()
        .zip(&numbers)
        .map(|(n, v)| (n.as_str(), Dtype::F32, &[1][..], v.clone()))
        .collect();
    let weights = Weights::from_bytes(&file(&entries), &parameters).unwrap();
    let read: Vec<_> = parameters
        .iter()
        .map(|p| weights.get(&p.name).unwrap().data[0])
        .collect();
    assert_eq!(read, [1.0, 2.0, 3.0, 4.0]);

    let both = file(&[
        (
            "mid.attentions.0.to_q.bias",
            Dtype::F32,
            &[2],
            values(2, Dtype::F32),
        ),
        (
            "mid.attentions.0.query.bias",
            Dtype::F32,
            &[2],
            values(2, Dtype::F32),
        ),
    ]);
    assert!(
        refusal(&both)
            .contains("`mid.attentions.0.to_q.bias`: stored under its old and its new name")
    );
}

#[test]
fn wrong_tensors_are_named() {
    let bias = || {
        (
            "mid.attentions.0.to_q.bias",
            Dtype::F32,
            &[2][..],
            values(2, Dtype::F32),
        )
    };
    let weight = |shape: &'static [usize], dtype| ("a.weight", dtype, shape, values(6, dtype));
    let cases = [
        (
            vec![bias()],
            "tensor `a.weight`: missing, expected shape [2, 3]",
        ),
        (
            vec![bias(), weight(&[3, 2], Dtype::F32)],
            "tensor `a.weight`: shape [3, 2], expected [2, 3]",
        ),
        (
            vec![bias(), weight(&[2, 3], Dtype::F64)],
            "tensor `a.weight`: type F64, expected F32, F16 or BF16",
        ),
        (
            vec![
                bias(),
                weight(&[2, 3], Dtype::F32),
                ("x\n", Dtype::F32, &[1], values(1, Dtype::F32)),
            ],
            "tensor `x\\n`: unknown: the configuration has no place for it",
        ),
    ];
    for (entries, expected) in cases {
        assert_eq!(refusal(&file(&entries)), expected);
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    let nan = |x: f32| {
        let mut data = values(6, Dtype::F32);
        data[12..16].copy_from_slice(&x.to_le_bytes());
        file(&[
            ("a.weight", Dtype::F32, &[2, 3], data),
            (
                "mid.attentions.0.to_q.bias",
                Dtype::F32,
                &[2],
                values(2, Dtype::F32),
            ),
        ])
    };
    assert_eq!(
        refusal(&nan(f32::NAN)),
        "tensor `a.weight`: value 3 is NaN, expected a finite number"
    );
    assert_eq!(
        refusal(&nan(f32::NEG_INFINITY)),
        "tensor `a.weight`: value 3 is -inf, expected a finite number"
    );
    let half = file(&[
        (
            "a.weight",
            Dtype::F16,
            &[2, 3],
            f16::INFINITY.to_le_bytes().repeat(6),
        ),
        (
            "mid.attentions.0.to_q.bias",
            Dtype::F32,
            &[2],
            values(2, Dtype::F32),
        ),
    ]);
    assert!(refusal(&half).contains("value 0 is inf"));
}

#[test]
fn every_truncation_is_refused() {
    let bytes = good();
    for length in 0..bytes.len() {
        refusal(&bytes[..length]);
    }
    refusal(&[bytes.as_slice(), &[0]].concat());
}

#[test]
fn lengths_that_lie_are_refused() {
    for length in [
        0,
        1,
        1 << 20,
        MAX_HEADER + 1,
        1 << 40,
        u64::MAX - 7,
        u64::MAX,
    ] {
        let mut bytes = good();
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        assert!(refusal(&bytes).contains("not a safetensors file"));
    }
    let header = |text: &str| {
        [
            &(text.len() as u64).to_le_bytes()[..],
            text.as_bytes(),
            &[0; 24],
        ]
        .concat()
    };
    for text in [
        r#"{"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,99999999999]}}"#,
        r#"{"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[24,0]}}"#,
        r#"{"a.weight":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,24]}}"#,
        r#"{"a.weight":{"dtype":"F32","shape":[-1],"data_offsets":[0,24]}}"#,
        r#"{"a.weight":{"dtype":"EVIL\n","shape":[6],"data_offsets":[0,24]}}"#,
        r#"{"a.weight":3}"#,
        "[]",
        "{",
    ] {
        assert!(
            refusal(&header(text)).contains("not a safetensors file"),
            "{text}"
        );
    }
    refusal(&header(&"[".repeat(100_000)));
}

#[test]
fn a_file_much_longer_than_the_network_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let file = std::fs::File::create(&path).unwrap();
    // a hole: takes no room on the disk, would take 1 TiB of memory
    file.set_len(1 << 40).unwrap();
    let message = Weights::load(&path, &expected()).unwrap_err().to_string();
    assert!(
        message.contains("1099511627776 bytes long; the configuration has 8 parameters"),
        "{message}"
    );
    let absent = Weights::load(&folder.path().join("no"), &expected()).unwrap_err();
    assert!(matches!(absent, Error::Read { .. }));
    assert!(Weights::load(folder.path(), &expected()).is_err());
}

#[test]
fn given_tensors_are_checked_as_well() {
    let tensor = |shape: &[usize], data: Vec<f32>| Tensor {
        shape: shape.into(),
        data,
    };
    let complete = || {
        BTreeMap::from([
            ("a.weight".to_owned(), tensor(&[2, 3], vec![1.0; 6])),
            (
                "mid.attentions.0.to_q.bias".to_owned(),
                tensor(&[2], vec![1.0; 2]),
            ),
        ])
    };
    assert_eq!(
        Weights::from_tensors(complete(), &expected())
            .unwrap()
            .count(),
        8
    );
    let broken = [
        (
            "a.weight",
            tensor(&[2, 3], vec![1.0; 5]),
            "holds 5 values, expected 6",
        ),
        (
            "a.weight",
            tensor(&[6], vec![1.0; 6]),
            "shape [6], expected [2, 3]",
        ),
        (
            "a.weight",
            tensor(&[2, 3], vec![f32::NAN; 6]),
            "value 0 is NaN",
        ),
        ("b", tensor(&[1], vec![1.0]), "unknown"),
    ];
    for (name, tensor, expected_text) in broken {
        let mut tensors = complete();
        tensors.insert(name.to_owned(), tensor);
        let message = Weights::from_tensors(tensors, &expected())
            .unwrap_err()
            .to_string();
        assert!(message.contains(expected_text), "{message}");
    }
}

#[test]
fn weights_of_another_network_do_not_pass() {
    let all = |channels: &str| {
        let text = format!(
            r#"{{"sample_size": 8, "block_out_channels": {channels}, "norm_num_groups": 4,
            "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"]}}"#
        );
        parameters(&UnetConfig::from_json(&text).unwrap()).unwrap()
    };
    let (small, large) = (all("[8]"), all("[12]"));
    let weights = Weights::random(&small, 3);
    weights.check(&small).unwrap();
    assert!(
        weights
            .check(&large)
            .unwrap_err()
            .to_string()
            .contains("expected [48, 12]")
    );
    assert!(
        weights
            .check(&small[1..])
            .unwrap_err()
            .to_string()
            .contains("unknown")
    );
    assert_eq!(weights, Weights::random(&small, 3));
    assert_ne!(weights, Weights::random(&small, 4));
}

proptest! {
    #[test]
    fn damaged_files_never_panic(place in 0usize..400, byte in any::<u8>()) {
        let mut bytes = good();
        let place = place % bytes.len();
        bytes[place] = byte;
        let _ = Weights::from_bytes(&bytes, &expected());
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), honest in any::<bool>()) {
        if honest && bytes.len() >= 8 {
            let header = (bytes.len() as u64 - 8) / 2;
            bytes[..8].copy_from_slice(&header.to_le_bytes());
        }
        prop_assert!(Weights::from_bytes(&bytes, &expected()).is_err());
    }
}
