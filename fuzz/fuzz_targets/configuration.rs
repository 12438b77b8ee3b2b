//! Any text as a U-Net's or a scheduler's configuration.

#![no_main]

use diffuser_model::build_graph::build_graph;
use diffuser_model::config::UnetConfig;
use diffuser_model::sampling::{Sampler, SamplerOptions, SchedulerConfig, plan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(config) = UnetConfig::from_json(text) {
        let _ = build_graph(&config);
    }
    if let Ok(config) = SchedulerConfig::from_json(text) {
        for sampler in Sampler::ALL {
            let options = SamplerOptions { sampler, steps: 10, eta: 0.0, spacing: None };
            let _ = plan(&config, &options).map(|steps| steps.iter().map(|s| s.to_fixed()).count());
        }
    }
});
