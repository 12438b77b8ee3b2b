//! Models of what stands at a unit's ports (`hw/README.md`), one value a cycle, all seeded.
//!
//! A test's cycle reads
//!
//! ```text
//! top.set_rvalid_i(port.valid()); top.set_rdata_i(port.data());   // what registers drive: begin of the cycle
//! top.eval();
//! top.set_gnt_i(port.grant(top.req_o(), top.addr_o(), |a| memory[a as usize]));   // combinational answers
//! top.eval();
//! top.tick();                                                     // the edge
//! port.after_edge();
//! ```

mod bits;
#[macro_use]
mod lite;
mod ports;
mod random;

pub use bits::{get_bits, get_signed, pack, set_bits, unpack};
pub use lite::{LiteMaster, LiteRequest, LiteResponse};
pub use ports::{DescriptorPort, ReadPort, WritePort};
pub use random::Random;
