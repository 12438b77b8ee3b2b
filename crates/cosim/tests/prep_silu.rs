//! SiLU: all 65,536 inputs.
#![cfg(top_silu)]

use diffuser_cosim::tops::Silu;
use diffuser_spec::silu::silu;

/// Cycles from an input to its output.
const LATENCY: usize = 7;

#[test]
fn every_input() {
    let mut top = Silu::new();
    for enable in [true, false] {
        let inputs: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        top.set_enable_i(enable);
        for cycle in 0..inputs.len() + LATENCY {
            let u = inputs[cycle.min(inputs.len() - 1)];
            top.set_u_i(u as u16);
            if cycle >= LATENCY {
                let u = inputs[cycle - LATENCY];
                let want = if enable { silu(u) } else { u };
                assert_eq!(top.y_o() as i16, want, "silu({u}), enabled: {enable}");
            }
            top.tick();
        }
    }
}
