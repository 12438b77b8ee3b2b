//! The generated files are those of `hw/isa.toml`; descriptors survive words and back.

#[path = "../examples/generate/outputs/mod.rs"]
mod outputs;

use std::path::Path;

use diffuser_isa::generated::*;
use diffuser_isa::{DecodeError, Field, FieldError, Record};
use proptest::prelude::*;

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn files_are_what_the_source_says() {
    for (path, text) in outputs::all(&root()).expect("hw/isa.toml is sound") {
        let found = std::fs::read_to_string(root().join(&path)).expect(&path);
        assert!(
            found == text,
            "{path} is stale: run `cargo run -p diffuser-isa --example generate`"
        );
    }
}

/// The source with `from` replaced by `to` is refused with a line that holds `message`.
fn refused(from: &str, to: &str, message: &str) {
    let text = std::fs::read_to_string(root().join(outputs::SOURCE)).expect("readable");
    assert!(text.contains(from), "{from:?} is not in the source");
    let error = outputs::source::parse(&text.replacen(from, to, 1))
        .err()
        .unwrap_or_else(|| panic!("{to:?} is accepted"));
    assert!(error.contains(message), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn faults_of_the_source_are_one_line() {
    refused(
        "name = \"wait_norm\"\nat = [1, 16]",
        "name = \"wait_norm\"\nat = [1, 15]",
        "field wait_norm overlaps wait_dma in word 1",
    );
    refused(
        "name = \"ddr\"\nat = [7, 0]\nwidth = 32",
        "name = \"ddr\"\nat = [7, 0]\nwidth = 33",
        "op load: field ddr: 33 bits at word 7, bit 0 leave 16 words of 32 bits",
    );
    refused("opcode = 8", "opcode = 7", "opcode 7 is there twice");
    refused(
        "opcode = 8",
        "opcode = 256",
        "opcode 256 needs more than 8 bits",
    );
    refused(
        "offset = 0x004",
        "offset = 0x000",
        "register offset 0x000 is there twice",
    );
    refused(
        "offset = 0x004",
        "offset = 0x006",
        "register VERSION: offset 0x6 is not a multiple of 4",
    );
    refused(
        "name = \"FLIP\"",
        "name = \"FRAMES\"",
        "display: register FRAMES is there twice",
    );
    refused("name = \"stream_a\"", "name = \"output\"", "is a keyword");
    refused(
        "name = \"stream_a\"",
        "name = \"streamA\"",
        "is not lower_case",
    );
    refused(
        "name = \"stream_a\"",
        "name = \"stream_b\"",
        "op prep: field stream_b is there twice",
    );
    refused(
        "unit = \"prep\"",
        "unit = \"pre\"",
        "op prep: no unit is called pre",
    );
    refused("max = 5", "max = 8", "op load: field space: range 0 to 8");
    refused(
        "min = -62",
        "min = -129",
        "head conv: field residual_shift: range -129 to 62",
    );
    refused(
        "width = 1\nflag = true",
        "width = 1\nsigned = true\nflag = true",
        "a flag is one bit",
    );
    refused(
        "access = \"w1c\"",
        "access = \"w1s\"",
        "access w1s is none of",
    );
    refused(
        "version = 2\n",
        "version = 3\n",
        "register VERSION: reset is 2, the file's version 3",
    );
    refused("signed = true", "sign = true", "unknown field");
    refused(
        "\ncode = 7",
        "\ncode = 16",
        "error register: 16 needs more than 4 bits",
    );
    refused("\ncode = 7", "\ncode = 6", "error code 6 is there twice");
}

#[test]
fn places_and_tables_of_the_page_match() {
    let text = std::fs::read_to_string(root().join(outputs::SOURCE)).expect("readable");
    let isa = outputs::source::parse(&text).expect("sound");
    let page = std::fs::read_to_string(root().join(outputs::PAGE)).expect("readable");
    let error = |from: &str, to: &str| {
        outputs::markdown::splice(&page.replacen(from, to, 1), outputs::markdown::tables(&isa))
            .expect_err(to)
    };
    assert!(error("table: units", "table: uints").contains("no table uints"));
    assert!(error("<!-- table: units -->", "").contains("no place \"<!-- table: units -->\""));
    assert!(
        error("<!-- end of table -->", "").contains("no \"<!-- end of table -->\" after table")
    );
}

fn value(field: &Field, seed: u64) -> i128 {
    let values = (field.max - field.min + 1) as u128;
    // the ends more often than chance
    match seed % 8 {
        0 => field.min,
        1 => field.max,
        _ => field.min + (u128::from(seed >> 3) % values) as i128,
    }
}

/// A record with a value in range in each field.
fn filled<R: Record>(seeds: &mut impl Iterator<Item = u64>) -> R {
    let build = R::build(|f| Ok::<_, ()>(value(f, seeds.next().expect("enough"))));
    build.expect("cannot fail")
}

/// One of each operation.
fn every_op(seeds: &mut impl Iterator<Item = u64>) -> Vec<Op> {
    vec![
        Op::End(filled(seeds)),
        Op::Loop(filled(seeds)),
        Op::Load(filled(seeds)),
        Op::Store(filled(seeds)),
        Op::Norm(filled(seeds)),
        Op::Prep(filled(seeds)),
        Op::Conv(filled(seeds)),
        Op::Attention(filled(seeds)),
        Op::Sample(filled(seeds)),
    ]
}

/// The record with `FIELDS[index]` one past its range; none where its Rust type ends there.
fn past<R: Record>(record: &R, index: usize, above: bool) -> Option<(R, FieldError)> {
    let field = R::FIELDS[index];
    let value = if above { field.max + 1 } else { field.min - 1 };
    let mut i = 0;
    let changed = R::build(|_| {
        i += 1;
        Ok::<_, ()>(if i - 1 == index {
            value
        } else {
            record.value(i - 1)
        })
    });
    let changed = changed.expect("cannot fail");
    let record = R::NAME;
    (changed.value(index) == value).then_some((
        changed,
        FieldError {
            record,
            field,
            value,
        },
    ))
}

/// Each field of `record` past both ends of its range, and what `encode` answers.
fn each_past<R: Record, T>(record: &R, encode: impl Fn(R) -> Result<T, FieldError>) -> usize {
    let ends = (0..R::FIELDS.len()).flat_map(|i| [(i, false), (i, true)]);
    let cases = ends.filter_map(|(i, above)| past(record, i, above));
    cases
        .map(|(changed, error)| assert_eq!(encode(changed).err(), Some(error)))
        .count()
}

fn bare(op: Op) -> Descriptor {
    Descriptor {
        common: Common::default(),
        op,
    }
}

macro_rules! blocks {
    ($seeds:expr; $($block:ident)*) => {$({
        let block: $block = filled($seeds);
        let words = block.encode().expect("in range");
        prop_assert_eq!($block::decode(&words), Ok(block));
        each_past(&block, |b| b.encode());
        for (word, bit) in (0..words.len()).flat_map(|w| (0..64).map(move |b| (w, b))) {
            let mut wrong = words;
            wrong[word] ^= 1 << bit;
            let used = $block::FIELDS
                .iter()
                .any(|f| f.word == word && (f.lsb..f.lsb + f.width).contains(&bit));
            let record = $block::NAME;
            if !used {
                let reserved = DecodeError::Reserved { record, word, bits: 1 << bit };
                prop_assert_eq!($block::decode(&wrong), Err(reserved));
            }
        }
    })*};
}

proptest! {
    #[test]
    fn descriptors_survive_encoding(seeds in prop::collection::vec(any::<u64>(), 200)) {
        let seeds = &mut seeds.into_iter();
        let common: Common = filled(seeds);
        for op in every_op(seeds) {
            let descriptor = Descriptor { common, op };
            let words = descriptor.encode().expect("in range");
            prop_assert_eq!(Descriptor::decode(&words), Ok(descriptor));
            prop_assert_eq!(words[0] & 0xff, op.opcode());
        }
    }

    #[test]
    fn values_out_of_range_are_refused(seeds in prop::collection::vec(any::<u64>(), 200)) {
        let seeds = &mut seeds.into_iter();
        let load = Op::Load(filled(seeds));
        let common: Common = filled(seeds);
        // all but the flags and the ends at zero, where the Rust type ends
        let n = each_past(&common, |common| Descriptor { common, op: load }.encode());
        prop_assert_eq!(n, 2 * 5 + 2);
        macro_rules! ops {
            ($($op:ident)*) => {
                $(each_past(&filled::<$op>(seeds), |op| bare(Op::$op(op)).encode());)*
            };
        }
        ops!(End Loop Load Store Norm Prep Conv Attention Sample);
    }

    #[test]
    fn reserved_bits_are_refused(seeds in prop::collection::vec(any::<u64>(), 200)) {
        for op in every_op(&mut seeds.into_iter()) {
            let words = bare(op).encode().expect("in range");
            let fields: Vec<_> = op.fields().map(|(f, _)| f).chain(Common::FIELDS).collect();
            for (word, bit) in (0..DESCRIPTOR_WORDS).flat_map(|w| (0..32).map(move |b| (w, b))) {
                let inside = |f: &Field| f.word == word && (f.lsb..f.lsb + f.width).contains(&bit);
                if inside(&OPCODE) || fields.iter().any(|f| inside(f)) {
                    continue;
                }
                let mut wrong = words;
                wrong[word] |= 1 << bit;
                let reserved = DecodeError::Reserved { record: op.name(), word, bits: 1 << bit };
                prop_assert_eq!(Descriptor::decode(&wrong), Err(reserved));
            }
        }
    }

    #[test]
    fn opcodes_without_an_operation_are_refused(code in 0u32..256) {
        let mut words = [0; DESCRIPTOR_WORDS];
        words[0] = code;
        let unknown = Descriptor::decode(&words) == Err(DecodeError::Opcode(code));
        prop_assert_eq!(unknown, !(1..=9).contains(&code));
    }

    #[test]
    fn parameter_blocks_survive_encoding(seeds in prop::collection::vec(any::<u64>(), 100)) {
        let seeds = &mut seeds.into_iter();
        blocks!(seeds; ConvHead PrepHead NormHead AttentionHead SampleHead ConvChannel NormChannel);
    }
}

#[test]
fn words_by_hand() {
    let conv = Descriptor {
        common: Common {
            chain: true,
            tag: 7,
            ..Common::default()
                .after(Unit::Prep, 3)
                .after(Unit::Array, -1)
        },
        op: Op::Conv(Conv {
            kernel: 2,
            sums: true,
            interleave: true,
            pad_top: 1,
            pad_left: 1,
            blocks: 4,
            operand: 0x100,
            tiles: 2,
            weights: 0xabcdef,
            in_width: 32,
            in_height: 16,
            out_width: 32,
            out_height: 16,
            dest: 0x200,
            dest_plane: 512,
            param: 9,
            sums_base: 64,
            ..Conv::default()
        }),
    };
    let words = [
        // opcode 7, waits for units 2 and 3, chain
        7 | 0b01100 << 8 | 1 << 13,
        0,
        3 | 0xffff << 16,
        7 << 16,
        2 << 3 | 1 << 8 | 1 << 10 | 1 << 11 | 1 << 13 | 4 << 16,
        0x100,
        2 | 0xabcdef << 8,
        32 | 16 << 12,
        32 | 16 << 12,
        0x200,
        0,
        512,
        9 | 64 << 16,
        0,
        0,
        0,
    ];
    assert_eq!(conv.encode(), Ok(words));
    assert_eq!(Descriptor::decode(&words), Ok(conv));
    assert_eq!(
        conv.to_string(),
        "conv kernel=2 sums=1 interleave=1 pad_top=1 pad_left=1 blocks=4 operand=256 tiles=2 \
         weights=11259375 in_width=32 in_height=16 out_width=32 out_height=16 dest=512 \
         dest_plane=512 param=9 sums_base=64 wait prep>=3 array>=-1 chain tag=7"
    );

    let load = Descriptor {
        common: Common {
            first: true,
            tag: 0xffff,
            ..Common::default()
        },
        op: Op::Load(Load {
            space: Space::Weight4 as u32,
            per_step: 2,
            address: 0xffffff,
            words: 1,
            ddr: 0xdeadbeef,
        }),
    };
    let mut words = [0; 16];
    words[0] = 3 | 1 << 14;
    words[3] = 0xffff << 16;
    words[4..8].copy_from_slice(&[5 | 2 << 3, 0xffffff, 1, 0xdeadbeef]);
    assert_eq!(load.encode(), Ok(words));
    assert_eq!(
        load.to_string(),
        "load space=5 per_step=2 address=16777215 words=1 ddr=3735928559 first"
    );

    let mut words = [0; 16];
    words[0] = 1;
    assert_eq!(bare(Op::End(End {})).encode(), Ok(words));

    let head = ConvHead {
        zero_point: -5,
        residual_shift: -2,
    };
    assert_eq!(head.encode(), Ok([0xfefb]));
    let channel = ConvChannel {
        bias: -1,
        mantissa: 0x8000,
        shift: 20,
    };
    assert_eq!(channel.encode(), Ok([0x0014_8000_ffff_ffff]));
}

#[test]
fn errors_say_what_was_expected() {
    let op = Op::Load(Load {
        words: 1,
        address: 1 << 24,
        ..Load::default()
    });
    let error = bare(op).encode().expect_err("too large");
    assert_eq!(
        error.to_string(),
        "load: address is 16777216, expected 0 to 16777215"
    );
    let mut words = [0; 16];
    words[0] = 3;
    let error = Descriptor::decode(&words).expect_err("no words");
    assert_eq!(
        error.to_string(),
        "load: words is 0, expected 1 to 16777215"
    );
    words[6] = 1;
    words[15] = 6;
    let error = Descriptor::decode(&words).expect_err("reserved bits");
    assert_eq!(
        error.to_string(),
        "load: reserved bits 0x6 of word 15 are not zero"
    );
    words[0] = 0;
    let error = Descriptor::decode(&words).expect_err("no opcode");
    assert_eq!(error.to_string(), "unknown opcode 0");
}

#[test]
fn waits_are_per_unit() {
    for &unit in Unit::ALL {
        let common = Common::default().after(unit, -3);
        assert_eq!(common.waits, 1 << unit as u32);
        for &other in Unit::ALL {
            assert_eq!(common.wait(other), (unit == other).then_some(-3));
        }
        assert_eq!(common.to_string(), format!(" wait {}>=-3", unit.name()));
    }
    assert_eq!(Unit::from_value(5), None);
    assert_eq!(Space::from_value(5), Some(Space::Weight4));
    assert_eq!(ErrorCode::from_value(7), Some(ErrorCode::Register));
}
