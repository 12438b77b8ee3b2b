//! The display unit, its memory and a host at its registers, at two clocks that do not know each other: the RTL as a [`Device`], and what the panel sees.

use std::ops::Range;

use diffuser_device::display::Signals;
use diffuser_device::{Device, DeviceError};

use crate::bench::{LiteMaster, LiteRequest, LiteResponse};
use crate::memory::{Ddr, DdrConfig, ReadRequest, ReadResponse, WriteRequest};

/// What the display shows its bus in a cycle.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outputs {
    /// AXI4-Lite.
    pub lite: LiteResponse,
    /// The read master.
    pub read: ReadRequest,
    /// Its ARQOS.
    pub qos: u8,
    /// The interrupt line.
    pub interrupt: bool,
}

/// A build of the display as a model.
pub trait Display {
    /// Reset line.
    fn reset(&mut self, active: bool);
    /// Levels of the clocks: bus, pixel.
    fn clocks(&mut self, bus: bool, pixel: bool);
    /// Drives the bus's inputs and settles its outputs.
    fn drive(&mut self, lite: &LiteRequest, read: &ReadResponse) -> Outputs;
    /// What the panel is shown.
    fn signals(&self) -> Signals;
}

/// Two clocks, in any unit of time.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    /// Period of the bus's.
    pub bus: u64,
    /// Period of the pixels'.
    pub pixel: u64,
    /// Time of its first edge.
    pub phase: u64,
}

/// A display and what it stands between.
pub struct Panel<D> {
    display: D,
    ddr: Ddr,
    lite: LiteMaster,
    clocks: Clocks,
    next_bus: u64,
    next_pixel: u64,
    cycles: u64,
    outputs: Outputs,
    signals: Vec<Signals>,
    starved: bool,
}

impl<D: Display> Panel<D> {
    /// Holds the display in reset for a few cycles of both clocks. `bytes` of memory, a multiple of 64, from [`BASE`] on.
    #[must_use]
    pub fn new(display: D, config: DdrConfig, bytes: usize, clocks: Clocks, seed: u64) -> Self {
        let config = DdrConfig {
            read_ports: 1,
            shared: None,
            background: 0,
            ..config
        };
        let mut panel = Self {
            display,
            ddr: Ddr::new(config, BASE, bytes),
            lite: LiteMaster::new(seed, 40),
            clocks,
            next_bus: clocks.bus,
            next_pixel: clocks.phase,
            cycles: 0,
            outputs: Outputs::default(),
            signals: Vec::new(),
            starved: false,
        };
        panel.pulse_reset();
        panel
    }

    fn pulse_reset(&mut self) {
        self.display.reset(true);
        self.display
            .drive(&LiteRequest::default(), &ReadResponse::default());
        let end = 12 * self.clocks.bus.max(self.clocks.pixel) + self.next_bus.min(self.next_pixel);
        while self.next_bus.min(self.next_pixel) < end {
            self.edge(false);
        }
        self.display.reset(false);
        self.outputs = Outputs::default();
        self.signals.clear();
    }

    /// The next edge of either clock, of both where they meet; `alive` moves what stands at the ports. True where it was one of the bus's.
    fn edge(&mut self, alive: bool) -> bool {
        let now = self.next_bus.min(self.next_pixel);
        let (bus, pixel) = (self.next_bus == now, self.next_pixel == now);
        if bus && alive {
            let mut read = self.ddr.read_response(0);
            if self.starved {
                read.rvalid = false;
            }
            self.outputs = self.display.drive(&self.lite.request(), &read);
        }
        if pixel {
            self.signals.push(self.display.signals());
            self.next_pixel += self.clocks.pixel;
        }
        self.display.clocks(bus, pixel);
        self.display.clocks(false, false);
        if bus {
            self.next_bus += self.clocks.bus;
            self.cycles += 1;
        }
        if bus && alive {
            let mut request = self.outputs.read;
            request.rready &= !self.starved;
            self.lite.after_edge(&self.outputs.lite);
            self.ddr.after_edge(&[request], &WriteRequest::default());
        }
        bus
    }

    /// One cycle of the bus.
    pub fn cycle(&mut self) {
        while !self.edge(true) {}
    }

    /// From here on what the panel was shown, a value a pixel clock; forgotten with this.
    pub fn take_signals(&mut self) -> Vec<Signals> {
        std::mem::take(&mut self.signals)
    }

    /// What the panel was shown since then.
    #[must_use]
    pub fn signals(&self) -> &[Signals] {
        &self.signals
    }

    /// Runs until the panel was shown `count` values since they were taken.
    pub fn run_to(&mut self, count: usize) {
        while self.signals.len() < count {
            self.cycle();
        }
    }

    /// Has the memory give nothing (`true`), or answer again what it was asked meanwhile.
    pub fn starve(&mut self, starved: bool) {
        self.starved = starved;
    }

    /// The memory.
    pub fn ddr_mut(&mut self) -> &mut Ddr {
        &mut self.ddr
    }

    /// What the bus was shown in the last cycle.
    #[must_use]
    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    fn answered(&mut self) -> Result<(), DeviceError> {
        for _ in 0..10_000 {
            if self.lite.idle() {
                return Ok(());
            }
            self.cycle();
        }
        Err(DeviceError::Failed("no answer on AXI4-Lite".into()))
    }

    /// Writes the bytes of a register that `strobe` names.
    ///
    /// # Errors
    ///
    /// No answer, or one that is an error.
    pub fn write_bytes(&mut self, offset: u32, value: u32, strobe: u8) -> Result<(), DeviceError> {
        self.lite.write(offset, value, strobe);
        self.answered()?;
        self.lite.take_written(offset)
    }
}

/// First address of the memory: above 32 bits.
pub const BASE: u64 = 0x8_0000_0000;

impl<D: Display> Device for Panel<D> {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        self.lite.read(offset);
        self.answered()?;
        self.lite.take_read(offset)
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        self.write_bytes(offset, value, 15)
    }

    fn memory(&self) -> Range<u64> {
        self.ddr.addresses()
    }

    fn read_memory(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        Ok(self.ddr.read(address, bytes)?)
    }

    fn write_memory(&mut self, address: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        Ok(self.ddr.write(address, bytes)?)
    }

    fn wait(&mut self, cycles: u64) -> Result<bool, DeviceError> {
        let end = self.cycles.saturating_add(cycles);
        while !self.outputs.interrupt && self.cycles < end {
            self.cycle();
        }
        Ok(self.outputs.interrupt)
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        self.ddr.reset();
        self.lite.reset();
        self.pulse_reset();
        Ok(())
    }
}

/// Implements [`Display`] for a top made of `display_unit`.
#[cfg(any(top_display_unit, top_display_small, top_display_cells))]
macro_rules! display {
    ($top:ty) => {
        impl Display for $top {
            fn reset(&mut self, active: bool) {
                self.set_rst_ni(!active);
            }

            fn clocks(&mut self, bus: bool, pixel: bool) {
                self.set_clk_i(bus);
                self.set_pixel_clk_i(pixel);
                self.eval();
            }

            fn drive(&mut self, lite: &LiteRequest, read: &ReadResponse) -> Outputs {
                drive_lite!(self, lite);
                self.set_m_axi_arready_i(read.arready);
                self.set_m_axi_rvalid_i(read.rvalid);
                self.set_m_axi_rdata_i(read.rdata);
                self.set_m_axi_rresp_i(read.rresp as u8);
                self.set_m_axi_rlast_i(read.rlast);
                self.eval();
                Outputs {
                    lite: lite_response!(self),
                    read: ReadRequest {
                        arvalid: self.m_axi_arvalid_o(),
                        araddr: self.m_axi_araddr_o(),
                        arlen: self.m_axi_arlen_o(),
                        arsize: self.m_axi_arsize_o(),
                        arburst: self.m_axi_arburst_o(),
                        arcache: self.m_axi_arcache_o(),
                        arprot: self.m_axi_arprot_o(),
                        rready: self.m_axi_rready_o(),
                    },
                    qos: self.m_axi_arqos_o(),
                    interrupt: self.irq_o(),
                }
            }

            fn signals(&self) -> Signals {
                Signals {
                    de: self.pixel_de_o(),
                    hsync: self.pixel_hsync_o(),
                    vsync: self.pixel_vsync_o(),
                    rgb: self.pixel_rgb_o(),
                }
            }
        }
    };
}

#[cfg(top_display_unit)]
display!(crate::tops::DisplayUnit);
#[cfg(top_display_cells)]
display!(crate::tops::DisplayCells);
#[cfg(top_display_small)]
display!(crate::tops::DisplaySmall);
