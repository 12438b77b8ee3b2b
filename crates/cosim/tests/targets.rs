//! The RTL's builds, the compiler's targets and the simulator's sizes are the same.
#![cfg(all(top_target_small, top_target_zu9eg))]

use diffuser_compiler::Target;
use diffuser_cosim::tops::{TargetSmall, TargetZu9eg};
use diffuser_device::{Shape, Sizes};

macro_rules! compare {
    ($top:ty, $target:expr, $shape:expr, $sizes:expr) => {{
        let mut top = <$top>::new();
        top.eval();
        let rtl = [
            top.pixels_o(),
            top.outputs_o(),
            top.inputs_o(),
            top.stream_o(),
            top.operand_o(),
            top.weight_o(),
            top.param_o(),
            top.affine_o(),
            top.sums_o(),
            top.state_o(),
        ]
        .map(|v| v as usize);
        let t: Target = $target;
        let compiler = [
            t.shape.pixels,
            t.shape.outputs,
            t.shape.inputs,
            t.stream,
            t.operand,
            t.weight,
            t.param,
            t.affine,
            t.sums,
            t.state,
        ];
        let (shape, s): (Shape, Sizes) = ($shape, $sizes);
        let simulator = [
            shape.pixels,
            shape.outputs,
            shape.inputs,
            s.stream,
            s.operand,
            s.weight,
            s.param,
            s.affine,
            s.sums,
            s.state,
        ];
        assert_eq!(top.keys_o() as usize, t.keys, "keys of an attention");
        assert_eq!(
            rtl,
            compiler,
            "{} and the compiler's target",
            stringify!($top)
        );
        assert_eq!(
            rtl,
            simulator,
            "{} and the simulator's sizes",
            stringify!($top)
        );
    }};
}

#[test]
fn builds_are_equal() {
    compare!(TargetSmall, Target::SMALL, Shape::SMALL, Sizes::SMALL);
    compare!(TargetZu9eg, Target::ZU9EG, Shape::ZU9EG, Sizes::ZU9EG);
}
