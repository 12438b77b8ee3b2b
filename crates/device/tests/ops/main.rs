//! Each operation against a plain reading of `docs/isa.md` and `docs/numerics.md`: one value at a
//! time, wide integers, no code of the simulator.

mod attention;
mod conv;
mod norm;
mod plain;
mod prep;
mod sample;
mod transfer;
