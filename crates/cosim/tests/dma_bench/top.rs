//! The two builds of `dma_unit` behind one trait.

use diffuser_cosim::memory::{ReadRequest, ReadResponse, WriteRequest, WriteResponse};

/// A port of any width as 32-bit words.
pub trait Port {
    fn words(&self) -> Vec<u32>;
    fn of(words: &[u32]) -> Self;
}

macro_rules! small_ports {
    ($($t:ty),*) => {$(
        impl Port for $t {
            fn words(&self) -> Vec<u32> { vec![u32::from(*self)] }
            fn of(words: &[u32]) -> Self { words[0] as $t }
        }
    )*};
}
small_ports!(u8, u16, u32);

impl Port for bool {
    fn words(&self) -> Vec<u32> {
        vec![u32::from(*self)]
    }
    fn of(words: &[u32]) -> Self {
        words[0] & 1 != 0
    }
}

impl Port for u64 {
    fn words(&self) -> Vec<u32> {
        vec![*self as u32, (*self >> 32) as u32]
    }
    fn of(words: &[u32]) -> Self {
        u64::from(words[0]) | u64::from(words[1]) << 32
    }
}

impl<const N: usize> Port for [u32; N] {
    fn words(&self) -> Vec<u32> {
        self.to_vec()
    }
    fn of(words: &[u32]) -> Self {
        words.try_into().expect("the port's width")
    }
}

/// What registers outside of the unit drive in a cycle.
#[derive(Default)]
pub struct Inputs {
    pub desc: Option<([u32; 16], u32)>,
    pub flush: bool,
    pub data: u64,
    pub step_base: u64,
    pub stride: u32,
    pub steps: u32,
    pub read: Vec<ReadResponse>,
    pub write: WriteResponse,
    pub stream: (bool, Vec<u32>),
    pub state: (bool, [u32; 4]),
}

/// Combinational answers.
#[derive(Default)]
pub struct Grants {
    pub weight: bool,
    pub param: bool,
    pub stream_write: bool,
    pub stream_read: bool,
    pub state_write: bool,
    pub state_read: bool,
}

/// What the unit shows. Data only where it is valid.
#[derive(Debug)]
pub struct Outputs {
    pub ready: bool,
    pub done: bool,
    pub error: Option<u8>,
    pub beats: u8,
    pub read: Vec<ReadRequest>,
    pub write: WriteRequest,
    /// Address, bytes, strobes.
    pub weight: Option<(u32, Vec<u32>, Vec<u32>)>,
    pub param: Option<(u32, u64)>,
    pub stream_write: Option<(u32, Vec<u32>)>,
    pub stream_read: Option<u32>,
    pub state_write: Option<(u32, [u32; 4])>,
    pub state_read: Option<u32>,
}

pub trait DmaTop {
    const PORTS: usize;
    const OUTPUTS: usize;
    const INPUTS: usize;
    fn with_seed(seed: i32) -> Self;
    fn reset(&mut self);
    fn drive(&mut self, inputs: &Inputs);
    fn grant(&mut self, grants: &Grants);
    fn outputs(&self) -> Outputs;
    fn tick(&mut self);
}

/// Fields of `width` bits, the first lowest.
fn joined(width: usize, values: impl Iterator<Item = u64>) -> Vec<u32> {
    let values: Vec<_> = values.collect();
    let mut words = vec![0; (width * values.len()).div_ceil(32).max(2)];
    for (i, value) in values.into_iter().enumerate() {
        diffuser_cosim::bench::set_bits(&mut words, i * width, width, value);
    }
    words
}

/// The words of a port, and how many of them it has.
pub fn to_port<T: Port>(width: usize, values: impl Iterator<Item = u64>) -> T {
    let mut words = joined(width, values);
    let wanted = size_of::<T>().div_ceil(4);
    if wanted > 2 {
        words.truncate(wanted);
    }
    T::of(&words)
}

pub fn field<T: Port>(port: &T, width: usize, i: usize) -> u64 {
    diffuser_cosim::bench::get_bits(&port.words(), i * width, width)
}

macro_rules! dma_top {
    ($type:ident, $ports:expr, $outputs:expr, $inputs:expr) => {
        impl $crate::dma_bench::top::DmaTop for diffuser_cosim::tops::$type {
            const PORTS: usize = $ports;
            const OUTPUTS: usize = $outputs;
            const INPUTS: usize = $inputs;

            fn with_seed(seed: i32) -> Self {
                Self::with_seed(seed)
            }

            fn reset(&mut self) {
                self.set_rst_ni(false);
                self.tick();
                self.set_rst_ni(true);
            }

            fn drive(&mut self, i: &$crate::dma_bench::top::Inputs) {
                use $crate::dma_bench::top::{Port, to_port};
                self.set_desc_valid_i(i.desc.is_some());
                let noise = ([0x5a5a_5a5a; 16], 0xffff_0000);
                let (desc, step) = i.desc.unwrap_or(noise);
                self.set_desc_i(desc);
                self.set_step_i(step);
                self.set_flush_i(i.flush);
                self.set_data_base_i(i.data);
                self.set_step_base_i(i.step_base);
                self.set_step_stride_i(i.stride);
                self.set_steps_i(i.steps);
                let read = || i.read.iter();
                self.set_m_axi_arready_i(to_port(1, read().map(|r| u64::from(r.arready))));
                self.set_m_axi_rvalid_i(to_port(1, read().map(|r| u64::from(r.rvalid))));
                self.set_m_axi_rlast_i(to_port(1, read().map(|r| u64::from(r.rlast))));
                self.set_m_axi_rresp_i(to_port(2, read().map(|r| r.rresp as u64)));
                let data = read().flat_map(|r| r.rdata);
                self.set_m_axi_rdata_i(to_port(32, data.map(u64::from)));
                self.set_m_axi_awready_i(i.write.awready);
                self.set_m_axi_wready_i(i.write.wready);
                self.set_m_axi_bvalid_i(i.write.bvalid);
                self.set_m_axi_bresp_i(i.write.bresp as u8);
                self.set_stream_rvalid_i(i.stream.0);
                self.set_stream_rdata_i(Port::of(&i.stream.1));
                self.set_state_rvalid_i(i.state.0);
                self.set_state_rdata_i(i.state.1);
                self.eval();
            }

            fn grant(&mut self, g: &$crate::dma_bench::top::Grants) {
                self.set_weight_wgnt_i(g.weight);
                self.set_param_wgnt_i(g.param);
                self.set_stream_wgnt_i(g.stream_write);
                self.set_stream_gnt_i(g.stream_read);
                self.set_state_wgnt_i(g.state_write);
                self.set_state_gnt_i(g.state_read);
                self.eval();
            }

            fn outputs(&self) -> $crate::dma_bench::top::Outputs {
                use diffuser_cosim::memory::{ReadRequest, WriteRequest};
                use $crate::dma_bench::top::{Outputs, Port, field};
                let read = |p: usize| ReadRequest {
                    arvalid: field(&self.m_axi_arvalid_o(), 1, p) == 1,
                    araddr: field(&self.m_axi_araddr_o(), 40, p),
                    arlen: field(&self.m_axi_arlen_o(), 8, p) as u8,
                    arsize: field(&self.m_axi_arsize_o(), 3, p) as u8,
                    arburst: field(&self.m_axi_arburst_o(), 2, p) as u8,
                    arcache: field(&self.m_axi_arcache_o(), 4, p) as u8,
                    arprot: field(&self.m_axi_arprot_o(), 3, p) as u8,
                    rready: field(&self.m_axi_rready_o(), 1, p) == 1,
                };
                Outputs {
                    ready: self.desc_ready_o(),
                    done: self.done_o(),
                    error: self.error_o().then(|| self.error_code_o()),
                    beats: self.read_beats_o(),
                    read: (0..$ports).map(read).collect(),
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
                    weight: self.weight_we_o().then(|| {
                        let (data, strobe) = (self.weight_wdata_o(), self.weight_wstrb_o());
                        (self.weight_waddr_o(), data.words(), strobe.words())
                    }),
                    param: (self.param_we_o())
                        .then(|| (u32::from(self.param_waddr_o()), self.param_wdata_o())),
                    stream_write: self.stream_we_o().then(|| {
                        assert!(
                            self.stream_wstrb_o().words()[0].trailing_ones() as usize == $outputs
                        );
                        (self.stream_waddr_o(), self.stream_wdata_o().words())
                    }),
                    stream_read: self.stream_req_o().then(|| self.stream_addr_o()),
                    state_write: self.state_we_o().then(|| {
                        assert_eq!(self.state_wstrb_o(), 15);
                        (self.state_waddr_o(), self.state_wdata_o())
                    }),
                    state_read: self.state_req_o().then(|| self.state_addr_o()),
                }
            }

            fn tick(&mut self) {
                self.tick();
            }
        }
    };
}
pub(crate) use dma_top;
