//! The builds of `diffuser_core` as [`Core`]s.

use diffuser_device::{Device, Memory};

use crate::bench::get_bits;
use crate::lockstep::Look;
use crate::memory::{Ddr, DdrConfig, ReadRequest, WriteRequest};
use crate::rtl::{Core, DATA_PORTS, Inputs, Outputs, Rtl};

/// A core of the build `name` (a compiler's `Target`) as a device with `bytes` of DDR, a multiple of 64; nothing where that build is not in here.
///
/// # Panics
///
/// Where `bytes` is not a multiple of 64.
#[must_use]
pub fn open(name: &str, bytes: usize) -> Option<Box<dyn Device>> {
    let config = DdrConfig {
        read_ports: DATA_PORTS + 1,
        ..DdrConfig::default()
    };
    let ddr = Ddr::new(config, BASE, bytes);
    match name {
        #[cfg(top_core_small)]
        "small" => Some(Box::new(Rtl::new(crate::tops::CoreSmall::new(), ddr, 1))),
        #[cfg(top_core_zu9eg)]
        "zu9eg" => Some(Box::new(Rtl::new(crate::tops::CoreZu9eg::new(), ddr, 1))),
        _ => None,
    }
}

/// First address of the DDR: above 32 bits.
const BASE: u64 = 0x8_0000_0000;

/// Implements [`Core`] for a top made of `diffuser_core`.
macro_rules! core {
    ($top:ty) => {
        impl Core for $top {
            fn reset(&mut self, active: bool) {
                self.set_rst_ni(!active);
            }

            fn tick(&mut self) {
                <$top>::tick(self);
            }

            fn drive(&mut self, inputs: &Inputs) -> Outputs {
                drive_lite!(self, inputs.lite);
                let (mut arready, mut rvalid, mut rlast, mut rresp, mut rdata) =
                    (0, 0, 0, 0, [0; 4 * DATA_PORTS]);
                for (p, read) in inputs.reads[..DATA_PORTS].iter().enumerate() {
                    arready |= u8::from(read.arready) << p;
                    rvalid |= u8::from(read.rvalid) << p;
                    rlast |= u8::from(read.rlast) << p;
                    rresp |= (read.rresp as u8) << (2 * p);
                    rdata[4 * p..][..4].copy_from_slice(&read.rdata);
                }
                self.set_m_axi_arready_i(arready);
                self.set_m_axi_rvalid_i(rvalid);
                self.set_m_axi_rlast_i(rlast);
                self.set_m_axi_rresp_i(rresp);
                self.set_m_axi_rdata_i(rdata);
                let program = &inputs.reads[DATA_PORTS];
                self.set_m_axi_program_arready_i(program.arready);
                self.set_m_axi_program_rvalid_i(program.rvalid);
                self.set_m_axi_program_rlast_i(program.rlast);
                self.set_m_axi_program_rresp_i(program.rresp as u8);
                self.set_m_axi_program_rdata_i(program.rdata);
                self.set_m_axi_awready_i(inputs.write.awready);
                self.set_m_axi_wready_i(inputs.write.wready);
                self.set_m_axi_bvalid_i(inputs.write.bvalid);
                self.set_m_axi_bresp_i(inputs.write.bresp as u8);
                self.eval();
                let mut reads: [ReadRequest; DATA_PORTS + 1] = std::array::from_fn(|p| {
                    if p == DATA_PORTS {
                        return ReadRequest::default();
                    }
                    let sizes = u32::from(self.m_axi_arsize_o());
                    ReadRequest {
                        arvalid: self.m_axi_arvalid_o() >> p & 1 == 1,
                        araddr: get_bits(&self.m_axi_araddr_o(), 40 * p, 40),
                        arlen: (self.m_axi_arlen_o() >> (8 * p)) as u8,
                        arsize: (sizes >> (3 * p) & 7) as u8,
                        arburst: self.m_axi_arburst_o() >> (2 * p) & 3,
                        arcache: (self.m_axi_arcache_o() >> (4 * p) & 15) as u8,
                        arprot: (self.m_axi_arprot_o() >> (3 * p) & 7) as u8,
                        rready: self.m_axi_rready_o() >> p & 1 == 1,
                    }
                });
                reads[DATA_PORTS] = ReadRequest {
                    arvalid: self.m_axi_program_arvalid_o(),
                    araddr: self.m_axi_program_araddr_o(),
                    arlen: self.m_axi_program_arlen_o(),
                    arsize: self.m_axi_program_arsize_o(),
                    arburst: self.m_axi_program_arburst_o(),
                    arcache: self.m_axi_program_arcache_o(),
                    arprot: self.m_axi_program_arprot_o(),
                    rready: self.m_axi_program_rready_o(),
                };
                Outputs {
                    lite: lite_response!(self),
                    reads,
                    write: WriteRequest {
                        awvalid: self.m_axi_awvalid_o(),
                        awaddr: self.m_axi_awaddr_o(),
                        awlen: self.m_axi_awlen_o(),
                        awsize: self.m_axi_awsize_o(),
                        awburst: self.m_axi_awburst_o(),
                        awcache: self.m_axi_awcache_o(),
                        awprot: self.m_axi_awprot_o(),
                        wvalid: self.m_axi_wvalid_o(),
                        wdata: self.m_axi_wdata_o(),
                        wstrb: self.m_axi_wstrb_o(),
                        wlast: self.m_axi_wlast_o(),
                        bready: self.m_axi_bready_o(),
                    },
                    interrupt: self.irq_o(),
                    retired: self.retired_o(),
                    counted: self.counted_o(),
                }
            }
        }
    };
}

/// Implements [`Look`] for a top made of `diffuser_core` with these sizes of P, I and of the stream memory's banks.
macro_rules! look {
    ($top:ty, $pixels:expr, $inputs:expr, $banks:expr) => {
        impl Look for $top {
            fn look(&self, memory: Memory, word: usize) -> Vec<u8> {
                let array = |path: &str| {
                    let path = format!("u_memories.{path}");
                    let index = <$top>::MEMORIES.iter().position(|m| m.0 == path);
                    index.unwrap_or_else(|| panic!("no array {path}"))
                };
                let part = |path: String, word: usize| -> Vec<u8> {
                    let index = array(&path);
                    let mut bytes: Vec<u8> = self
                        .peek(index, word)
                        .into_iter()
                        .flat_map(u32::to_le_bytes)
                        .collect();
                    bytes.truncate(<$top>::MEMORIES[index].1 / 8);
                    bytes
                };
                match memory {
                    Memory::Stream => part(
                        format!("u_stream.gen_bank[{}].u_bank.u_mem.mem_q", word % $banks),
                        word / $banks,
                    ),
                    Memory::Operand => {
                        let bank = |b| part(format!("u_operand.gen_bank[{b}].u_mem.mem_q"), word);
                        (0..$pixels).flat_map(bank).collect()
                    }
                    Memory::Weight => part("u_weight.u_mem.mem_q".into(), word),
                    Memory::Param => part("u_param.u_mem.mem_q".into(), word),
                    Memory::Affine => {
                        // two halves of 28 bits
                        let half = |h| {
                            let bank = word % $inputs;
                            let index =
                                array(&format!("u_affine.gen_bank[{bank}].gen_half[{h}].mem"));
                            u64::from(self.peek(index, word / $inputs)[0])
                        };
                        (half(0) | half(1) << 28).to_le_bytes()[..7].to_vec()
                    }
                    Memory::Sums => part("u_sums.u_mem.mem_q".into(), word),
                    Memory::State => part("u_state.u_mem.mem_q".into(), word),
                }
            }
        }
    };
}

#[cfg(top_core_small)]
look!(crate::tops::CoreSmall, 4, 8, 4);
#[cfg(top_core_zu9eg)]
look!(crate::tops::CoreZu9eg, 8, 16, 4);

#[cfg(top_core_small)]
core!(crate::tops::CoreSmall);
#[cfg(top_core_zu9eg)]
core!(crate::tops::CoreZu9eg);
