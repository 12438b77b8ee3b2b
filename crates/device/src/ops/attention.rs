//! `attention`: all heads of one attention, for all queries.

use diffuser_isa::generated::{Attention, AttentionHead};
use diffuser_spec::softmax::{row_reciprocal, weight, weighted_mean};
use diffuser_spec::{Multiplier, mul_q15, saturate_operand};

use super::dot::{accumulate, widen};
use super::{Access, check, parameters, require};
use crate::fault::Fault;
use crate::memories::{Memories, Memory, Shape};

/// Tiles of keys, KT.
#[must_use]
pub const fn key_tiles(op: &Attention, shape: Shape) -> u64 {
    (op.pixels as u64).div_ceil(shape.outputs as u64)
}

/// Tiles of channels of V of one head, DT.
#[must_use]
pub const fn value_tiles(op: &Attention, shape: Shape) -> u64 {
    (op.head_blocks as u64 * shape.inputs as u64).div_ceil(shape.outputs as u64)
}

/// Blocks of keys, KB.
#[must_use]
pub const fn key_blocks(op: &Attention, shape: Shape) -> u64 {
    (op.pixels as u64).div_ceil(shape.inputs as u64)
}

/// See [`accesses`](super::accesses).
pub(super) fn accesses(op: &Attention, shape: Shape) -> Vec<Access> {
    let (heads, blocks) = (u64::from(op.heads), u64::from(op.head_blocks));
    let rows = heads * blocks * shape.rows(op.pixels.into());
    let keys = heads * key_tiles(op, shape) * blocks;
    let values = heads * value_tiles(op, shape) * key_blocks(op, shape);
    let entries = AttentionHead::ENTRIES as u64;
    vec![
        Access::read(Memory::Operand, op.query.into(), rows, "attention: Q"),
        Access::read(Memory::Weight, op.key.into(), keys, "attention: K"),
        Access::read(Memory::Weight, op.value.into(), values, "attention: V"),
        Access::read(Memory::Param, op.param.into(), entries, "attention: head"),
        Access::write(Memory::Operand, op.dest.into(), rows, "attention: result"),
    ]
}

/// The array has room for the logits of all keys.
pub(super) fn room(op: &Attention, memories: &Memories) -> Result<(), Fault> {
    let keys = memories.sizes.keys;
    require(
        op.pixels as usize <= keys,
        &format!("attention: {} keys, at most {keys}", op.pixels),
    )
}

/// Head after head, query after query.
///
/// # Errors
/// See [`execute`](super::execute).
pub fn execute(op: &Attention, memories: &mut Memories) -> Result<(), Fault> {
    let shape = memories.shape;
    room(op, memories)?;
    check(memories, &accesses(op, shape))?;
    let head = parameters(memories, op.param as usize, AttentionHead::decode)?;
    let to_log2 = Multiplier {
        mantissa: head.mantissa as u16,
        shift: head.shift as u8,
    };
    let (keys, blocks) = (op.pixels as usize, op.head_blocks as usize);
    let rows = shape.rows(op.pixels.into()) as usize;
    let word = shape.weight_bytes();
    let key_words = key_tiles(op, shape) as usize * blocks;
    let key_blocks = key_blocks(op, shape) as usize;
    let value_words = value_tiles(op, shape) as usize * key_blocks;
    let (mut k, mut v) = (Vec::new(), Vec::new());
    for h in 0..op.heads as usize {
        let first = memories.weight_at(op.key as usize + h * key_words);
        widen(&mut k, &memories.weight[first..first + key_words * word]);
        let first = memories.weight_at(op.value as usize + h * value_words);
        widen(&mut v, &memories.weight[first..first + value_words * word]);
        for n in 0..keys {
            let mut logits = vec![0; key_tiles(op, shape) as usize * shape.outputs];
            let tiles = logits.chunks_exact_mut(shape.outputs);
            for (acc, k) in tiles.zip(k.chunks_exact(blocks * word)) {
                for (db, k) in k.chunks_exact(word).enumerate() {
                    let row = op.query as usize + (h * blocks + db) * rows;
                    let at = memories.operand_at(row, n);
                    accumulate(acc, &memories.operand[at..at + shape.inputs], k);
                }
            }
            logits.truncate(keys);
            let max = logits.iter().copied().max().expect("at least one key");
            // modulo 2^32, as a number without sign; 0 for keys past the last
            let mut e: Vec<i8> = logits
                .iter()
                .map(|&acc| weight(max.wrapping_sub(acc) as u32, to_log2))
                .collect();
            e.resize(key_blocks * shape.inputs, 0);
            let sum = e.iter().map(|&e| e as u32).sum();
            let reciprocal = row_reciprocal(sum);
            for (dt, v) in v.chunks_exact(key_blocks * word).enumerate() {
                let mut acc = vec![0; shape.outputs];
                for (e, v) in e.chunks_exact(shape.inputs).zip(v.chunks_exact(word)) {
                    accumulate(&mut acc, e, v);
                }
                for (lane, acc) in acc.into_iter().enumerate() {
                    let channel = dt * shape.outputs + lane;
                    let (db, i) = (channel / shape.inputs, channel % shape.inputs);
                    if db < blocks {
                        let mean = weighted_mean(acc, reciprocal);
                        let q = saturate_operand(mul_q15(mean, head.gain as i16).into());
                        let row = op.dest as usize + (h * blocks + db) * rows;
                        let at = memories.operand_at(row, n);
                        memories.operand[at + i] = q;
                    }
                }
            }
        }
    }
    Ok(())
}
