//! Whole networks that the compiler made programs of.

use std::collections::BTreeMap;
use std::path::Path;

use diffuser_compiler::{Compiled, Target};
use diffuser_cosim::memory::DdrConfig;
use diffuser_device::host::Job;
use diffuser_isa::{Op, Space};
use diffuser_model::quantised::QuantisedModel;
use diffuser_model::sampling::Sampler;

use crate::common::model::random_model;
use crate::job::{network, network_on};
use crate::run::{Outcome, TARGET, compare, near};

/// What does not depend on time is counted alike.
pub fn same_work(rtl: &Outcome, simulated: &Outcome) {
    let (rtl, simulated) = (&rtl.counters, &simulated.counters);
    println!("RTL       {rtl:?}\nsimulator {simulated:?}");
    assert_eq!(
        rtl.array_busy, simulated.array_busy,
        "cycles in which the array multiplies"
    );
    assert_eq!(
        rtl.stall_bank, simulated.stall_bank,
        "cycles lost to bank conflicts"
    );
}

/// Cycles that the array had in each step for each node of the graph: from where it could go on behind one descriptor to where it could
/// behind the next.
fn array_cycles(compiled: &Compiled, outcome: &Outcome) -> BTreeMap<(u32, u32), u64> {
    let mut layers = BTreeMap::new();
    for pair in outcome.ends.windows(2) {
        let (step, index, end) = pair[1];
        let tag = compiled.program[index].common.tag;
        *layers.entry((tag, step)).or_default() += end.cycles - pair[0].2.cycles;
    }
    layers
}

/// How far the simulator's cycle model may be off.
struct Limit<'a> {
    /// Percent of the whole program.
    percent: u64,
    /// Layers and steps that need not be [`near`].
    except: &'a [(&'a str, u32)],
}

/// For whole programs that nothing special is known of.
const USUAL: Limit = Limit {
    percent: 2,
    except: &[],
};

/// The simulator's cycle model holds: each step of a layer is [`near`] it, the whole within a limit.
fn same_cycles(compiled: &Compiled, rtl: &Outcome, simulated: &Outcome, limit: &Limit) {
    let model = array_cycles(compiled, simulated);
    let mut far = vec![];
    for ((tag, step), found) in array_cycles(compiled, rtl) {
        let name = compiled.names.get(tag as usize).map_or("-", String::as_str);
        let wanted = model[&(tag, step)];
        let more = found as i64 - wanted as i64;
        let is_near = near(found, wanted);
        let mark = if is_near { "" } else { " far" };
        println!("{name:48} {step} {found:8} {wanted:8} {more:+6}{mark}");
        if !is_near && !limit.except.contains(&(name, step)) {
            far.push(format!("{name}, step {step}: RTL {found}, model {wanted}"));
        }
    }
    let (found, wanted) = (rtl.counters.cycles, simulated.counters.cycles);
    assert!(far.is_empty(), "{far:#?}");
    assert!(
        found.abs_diff(wanted) <= wanted * limit.percent / 100,
        "{found} cycles, model {wanted}"
    );
}

/// The RTL's bytes and work are the simulator's, and its cycles, the whole within `percent`.
pub fn check_job(compiled: &Compiled, job: &Job, percent: u64) -> Outcome {
    let limit = Limit { percent, ..USUAL };
    check_within(compiled, job, DdrConfig::default(), &limit)
}

/// The same with a limit, and DDR of this kind.
fn check_within(compiled: &Compiled, job: &Job, bus: DdrConfig, limit: &Limit) -> Outcome {
    let (rtl, simulated) = compare(job, &compiled.program, bus);
    same_work(&rtl, &simulated);
    same_cycles(compiled, &rtl, &simulated, limit);
    rtl
}

/// A network of two steps.
fn check(config: &str, seed: u64, four: bool, sampler: Sampler, class: Option<usize>) {
    let (compiled, job) = network(&random_model(config, seed, four), sampler, 2, class);
    check_job(&compiled, &job, 2);
}

/// One level, no attention.
pub const PLAIN: &str = r#"{"sample_size": 8, "block_out_channels": [8], "layers_per_block": 1,
    "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"],
    "norm_num_groups": 2, "add_attention": false}"#;

#[test]
fn one_level() {
    check(PLAIN, 1, false, Sampler::Ddim, None);
}

#[test]
fn one_level_on_a_slow_bus_and_on_a_fast_one() {
    let on = |seed, four, sampler, bus, limit: &Limit| {
        let (compiled, job) = network(&random_model(PLAIN, seed, four), sampler, 2, None);
        check_within(&compiled, &job, bus, limit);
    };
    let slow = DdrConfig {
        latency: 300,
        jitter: 200,
        stall: 200,
        background: 60 * 256,
        seed: 2,
        ..DdrConfig::default()
    };
    // its first loads meet latencies of up to 500 cycles by chance, one after the other; the model takes the mean: 3.2 % of the program
    let limit = Limit {
        percent: 4,
        ..USUAL
    };
    on(5, true, Sampler::Ddpm, slow, &limit);
    let fast = DdrConfig {
        latency: 1,
        jitter: 0,
        stall: 0,
        refresh_period: 0,
        seed: 3,
        ..DdrConfig::default()
    };
    on(6, false, Sampler::DpmSolver, fast, &USUAL);
}

#[test]
fn levels_that_resample_by_convolutions_and_by_residual_blocks() {
    let config = r#"{"sample_size": [6, 12], "block_out_channels": [9, 18], "layers_per_block": 1,
        "in_channels": 1, "out_channels": 1, "add_attention": false,
        "down_block_types": ["ResnetDownsampleBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "ResnetUpsampleBlock2D"],
        "downsample_type": "resnet", "upsample_type": "resnet",
        "norm_num_groups": 9, "downsample_padding": 0,
        "resnet_time_scale_shift": "scale_shift"}"#;
    check(config, 3, false, Sampler::Ddim, None);
    let config = r#"{"sample_size": 8, "block_out_channels": [6, 18], "layers_per_block": 1, "add_attention": false,
        "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"],
        "norm_num_groups": 3, "downsample_padding": 1}"#;
    check(config, 4, true, Sampler::Ddim, None);
}

#[test]
fn two_levels_with_attention_and_odd_channels() {
    let config = r#"{"sample_size": [6, 10], "block_out_channels": [6, 18], "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
        "norm_num_groups": 3, "attention_head_dim": 5, "downsample_padding": 1}"#;
    check(config, 2, true, Sampler::DpmSolver, None);
}

#[test]
fn class_conditional_with_four_channels() {
    let config = r#"{"sample_size": 8, "block_out_channels": [16, 24], "layers_per_block": 2,
        "in_channels": 4, "out_channels": 4, "num_class_embeds": 5,
        "down_block_types": ["AttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "AttnUpBlock2D"],
        "norm_num_groups": 8, "attention_head_dim": null, "downsample_padding": 0}"#;
    let (compiled, job) = network(&random_model(config, 4, true), Sampler::Ddpm, 2, Some(3));
    check_job(&compiled, &job, 2);
}

/// A stream memory that is too small: streams wait in DDR, stored and loaded beside the weights.
#[test]
fn streams_that_wait_in_ddr() {
    let config = r#"{"sample_size": 8, "block_out_channels": [9, 18], "layers_per_block": 2,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
        "norm_num_groups": 3, "downsample_padding": 0}"#;
    let model = random_model(config, 7, false);
    let on = |stream| {
        let target = Target { stream, ..TARGET };
        network_on(&model, (Sampler::Ddpm, 2), None, &target, 1)
    };
    let least = (0..TARGET.stream).step_by(16).find_map(|n| on(n).ok());
    let (compiled, job) = least.expect("it fits somewhere");
    let program = &compiled.program;
    let stores = program
        .iter()
        .filter(|d| matches!(d.op, Op::Store(s) if s.space == Space::Stream as u32));
    let loads = program
        .iter()
        .filter(|d| matches!(d.op, Op::Load(l) if l.space == Space::Stream as u32));
    let (stores, loads) = (stores.count(), loads.count());
    println!("{stores} stores and {loads} loads of streams a step");
    assert!(stores > 1 && loads >= stores, "{stores} {loads}");
    // loads that the array waits for meet a refresh, of which the model knows the share alone: 77 and 60 cycles
    let limit = Limit {
        except: &[
            ("conv_out", 0),
            ("up_blocks.1.resnets.2.conv_shortcut.hidden", 1),
        ],
        ..USUAL
    };
    check_within(&compiled, &job, DdrConfig::default(), &limit);
}

/// The model that the command ships, from noise to the state after two steps.
#[test]
fn the_shipped_model() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/assets/default.safetensors");
    let model = QuantisedModel::load(&path).expect("the shipped model");
    let class = (!model.embedding.classes.is_empty()).then_some(1);
    let (compiled, job) = network(&model, Sampler::Ddim, 2, class);
    check_job(&compiled, &job, 2);
}
