//! Full steps of a network on the RTL of the ZU9EG, in lockstep with the simulator, as JSON for `scripts/accelerator_tables.py --steps`:
//!
//!     DIFFUSER_TOPS=core_zu9eg cargo run -p diffuser-cosim --features verilator --example full_step -- cifar10 one > one.json
//!
//! `cifar10` is the 35.7 M U-Net of CIFAR-10 with random weights, `shipped` the model that the command ships. Words behind it: `one`, streams
//! enter products in one plane (`quantize --residual 8`), `shortcuts`, in two in shortcuts alone; else in two; `four`, weights of 4 bits; `phases`, upsampling convolutions in phases; `split`, blocks over skip connections split;
//! `images=N`, a batch of so many in one program (1); `steps=N`, of DDIM (2; of one alone the start of the program is a part). Every byte
//! that a descriptor writes is compared when the RTL retires it; the run fails at the first difference. It fails too, once all is written, where the cycles of
//! more than `outside=N` (0) layers are further from the simulator's than 2 % and 50.
//!
//! A step of the 35.7 M U-Net takes about two minutes.

#[cfg(any(top_core_small, top_core_zu9eg))]
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/core/run.rs"]
mod run;

#[cfg(any(top_core_small, top_core_zu9eg))]
#[path = "../../compiler/tests/common/mod.rs"]
mod common;

#[cfg(any(top_core_small, top_core_zu9eg))]
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/core/job.rs"]
mod job;

#[cfg(any(top_core_small, top_core_zu9eg))]
mod step {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Instant;

    use diffuser_cosim::activity::Counts;
    use diffuser_cosim::memory::DdrConfig;
    use diffuser_model::quantised::QuantisedModel;
    use diffuser_model::rewrite::Rewrites;
    use diffuser_model::sampling::Sampler;

    use crate::common::model::{Kind, random_model_of};
    use crate::job::network_on;
    use crate::run::{Outcome, SIZES, TARGET, compare, near};

    /// By node of the graph, the counters of the array's descriptors in the last step, and their sum. A step alone has the start of the
    /// program in it: memories are empty.
    fn layers(
        program: &[diffuser_isa::Descriptor],
        outcome: &Outcome,
        steps: u32,
    ) -> (BTreeMap<u32, Counts>, Counts) {
        let before = outcome.ends.iter().rev().find(|e| e.0 + 1 < steps);
        let first = before.map(|e| e.2).unwrap_or_default();
        let mut layers: BTreeMap<u32, Counts> = BTreeMap::new();
        let mut last = first;
        for &(_, index, end) in outcome.ends.iter().filter(|e| e.0 + 1 == steps) {
            let layer = layers.entry(program[index].common.tag).or_default();
            *layer = *layer + (end - last);
            last = end;
        }
        (layers, last - first)
    }

    fn object(c: &Counts) -> String {
        format!(
            r#"{{"cycles": {}, "busy": {}, "weight": {}, "operand": {}, "bank": {}, "drain": {}, "bubble": {}}}"#,
            c.cycles,
            c.busy,
            c.weight,
            c.operand,
            c.bank,
            c.drain,
            c.bubble()
        )
    }

    pub fn main() {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let has = |word: &str| arguments.iter().any(|a| a == word);
        let number = |name: &str| {
            let value = arguments.iter().find_map(|a| a.strip_prefix(name));
            value.map(|n| n.parse::<u32>().expect("a number"))
        };
        let steps = number("steps=").unwrap_or(2);
        let images = number("images=").unwrap_or(1);
        let model = if has("cifar10") {
            let kind = Kind {
                four: usize::from(has("four")),
                planes: if has("one") || has("shortcuts") {
                    0
                } else {
                    100
                },
                shortcuts: has("shortcuts"),
                rewrites: Rewrites::chosen(has("phases"), has("split")),
            };
            random_model_of(diffuser_testing::CIFAR10, 1, kind)
        } else {
            assert!(has("shipped"), "cifar10 or shipped");
            let path = Path::new(env!("CARGO_MANIFEST_DIR"));
            let path = path.join("../cli/assets/default.safetensors");
            QuantisedModel::load(&path).expect("the shipped model")
        };
        let class = (!model.embedding.classes.is_empty()).then_some(1);
        let sampler = (Sampler::Ddim, steps);
        let (compiled, job) =
            network_on(&model, sampler, class, &TARGET, images as usize).expect("it fits");
        let begin = Instant::now();
        let (rtl, simulated) = compare(&job, &compiled.program, DdrConfig::default());
        let seconds = begin.elapsed().as_secs_f64();
        let cycles = rtl.counters.cycles;
        eprintln!(
            "{cycles} cycles in {seconds:.0} s, {:.0} a second, simulator included",
            cycles as f64 / seconds
        );

        let (found, step) = layers(&compiled.program, &rtl, steps);
        let (wanted, modelled) = layers(&compiled.program, &simulated, steps);
        eprintln!("RTL   {step:?}, bubble {}", step.bubble());
        eprintln!("model {modelled:?}, bubble {}", modelled.bubble());
        let graph = &model.graph;
        let lines: Vec<String> = found
            .iter()
            .map(|(tag, rtl)| {
                let name = compiled
                    .names
                    .get(*tag as usize)
                    .map_or("-", String::as_str);
                let node = graph.nodes.get(*tag as usize);
                let macs = node.map_or(0, |n| graph.node_macs(n)) * u64::from(images);
                format!(
                    r#"{{"tag": {tag}, "name": {name:?}, "macs": {macs}, "rtl": {}, "model": {}}}"#,
                    object(rtl),
                    object(&wanted[tag])
                )
            })
            .collect();
        let shape = SIZES.0;
        let words: Vec<String> = arguments.iter().map(|a| format!("{a:?}")).collect();
        println!(
            "{{\"arguments\": [{}], \"shape\": [{}, {}, {}], \"steps\": {steps}, \"images\": {images}, \"macs\": {},\n\"counters\": {{\"rtl\": {cycles}, \"model\": {}}},",
            words.join(", "),
            shape.pixels,
            shape.outputs,
            shape.inputs,
            graph.macs() * u64::from(images),
            simulated.counters.cycles
        );
        println!(
            "\"read_bytes\": {}, \"step\": {{\"rtl\": {}, \"model\": {}}},\n\"layers\": [\n{}\n]}}",
            rtl.counters.read_bytes,
            object(&step),
            object(&modelled),
            lines.join(",\n")
        );
        let outside: Vec<String> = found
            .iter()
            .map(|(tag, rtl)| (tag, rtl.cycles, wanted[tag].cycles))
            .filter(|&(_, rtl, model)| !near(rtl, model))
            .map(|(tag, rtl, model)| {
                let name = compiled.names.get(*tag as usize);
                let name = name.map_or("-", String::as_str);
                format!("{name}: RTL {rtl}, model {model}")
            })
            .collect();
        eprintln!(
            "{} of {} layers further from the model than 2 % and 50 cycles {outside:#?}",
            outside.len(),
            found.len()
        );
        if outside.len() > number("outside=").unwrap_or(0) as usize {
            std::process::exit(1);
        }
    }
}

fn main() {
    #[cfg(any(top_core_small, top_core_zu9eg))]
    step::main();
    #[cfg(not(any(top_core_small, top_core_zu9eg)))]
    panic!("needs --features verilator and DIFFUSER_TOPS=core_zu9eg");
}
