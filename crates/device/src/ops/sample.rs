//! `sample`: one step of the sampler on the whole state.

use diffuser_isa::generated::{Sample, SampleHead};
use diffuser_spec::normal::normal;
use diffuser_spec::philox::philox;
use diffuser_spec::sampler::{Step, advance};

use super::{Access, Context, check, parameters, require};
use crate::fault::Fault;
use crate::memories::{Memories, Memory, Shape};

/// See [`rules`](super::rules).
pub(super) fn rules(op: &Sample, shape: Shape) -> Result<(), Fault> {
    require(
        op.channels as usize <= shape.outputs,
        "sample: more channels than a stream word has lanes",
    )
}

/// See [`accesses`](super::accesses).
pub(super) fn accesses(op: &Sample) -> Vec<Access> {
    let pixels = u64::from(op.pixels);
    let (param, head) = (u64::from(op.param), SampleHead::ENTRIES as u64);
    vec![
        Access::read(Memory::Param, param, head, "sample: head"),
        Access::read(Memory::Stream, op.stream.into(), pixels, "sample: output"),
        Access::read(Memory::State, op.state.into(), pixels, "sample: state"),
        Access::write(Memory::State, op.state.into(), pixels, "sample: state"),
    ]
}

/// `x` and `x0_previous` of each pixel and channel.
///
/// # Errors
/// See [`execute`](super::execute).
pub fn execute(op: &Sample, memories: &mut Memories, context: &Context) -> Result<(), Fault> {
    rules(op, memories.shape)?;
    check(memories, &accesses(op))?;
    let head = parameters(memories, op.param as usize, SampleHead::decode)?;
    let step = Step {
        x0: [head.x0_state, head.x0_stream],
        clip: Some(head.clip),
        eps: [head.eps_state, head.eps_stream],
        next: [
            head.next_state,
            head.next_x0,
            head.next_eps,
            head.next_previous,
            head.next_noise,
        ],
    };
    let image = context.image.wrapping_add(op.image.into());
    let key = [context.seed as u32, (context.seed >> 32) as u32];
    let purpose = context.step.saturating_add(1);
    // the block that holds the number before is often the block of the next
    let mut last = (u64::MAX, [0; 4]);
    let mut noise = |i: u64| {
        if last.0 != i / 4 {
            let counter = [(i / 4) as u32, image as u32, (image >> 32) as u32, purpose];
            last = (i / 4, philox(counter, key));
        }
        normal(last.1[(i % 4) as usize])
    };
    let channels = op.channels as usize;
    for n in 0..op.pixels as usize {
        let at = op.state as usize + n;
        let word = memories.stream_at(op.stream as usize + n);
        for c in 0..channels {
            let noise = if op.noise {
                noise((n * channels + c) as u64)
            } else {
                0
            };
            let previous = &mut memories.previous[at][c];
            if context.step == 0 {
                *previous = 0;
            }
            let (x, out) = (memories.state[at][c], memories.stream[word + c]);
            memories.state[at][c] = advance(&step, x, out, head.exponent, noise, previous);
        }
    }
    Ok(())
}
