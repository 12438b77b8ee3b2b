// Made of hw/isa.toml by `cargo run -p diffuser-isa --example generate`; do not edit.
//! The display unit. Registers as in [`super::register`].

/// `DISP`.
pub const ID: u32 = 0x000;
/// `ID` at reset.
pub const ID_RESET: u32 = 0x44495350;
/// Version of this block's layout.
pub const VERSION: u32 = 0x004;
/// `VERSION` at reset.
pub const VERSION_RESET: u32 = 0x00000001;
/// What was built.
pub const LIMITS: u32 = 0x008;
/// `LIMITS.width`: Most pixels of a source row: the buffer holds two such rows.
pub const LIMITS_WIDTH: (u32, u32) = (0, 13);
/// On and off.
pub const CONTROL: u32 = 0x010;
/// `CONTROL.enable`: Scan out. Cleared: the panel's signals go to rest at once, no more reads are asked for.
pub const CONTROL_ENABLE: (u32, u32) = (0, 1);
/// What the display does.
pub const STATUS: u32 = 0x014;
/// `STATUS.busy`: Enabled, or still at work: reads on the bus, or a panel not yet at rest.
pub const STATUS_BUSY: (u32, u32) = (0, 1);
/// Which events raise the interrupt line.
pub const INTERRUPT_ENABLE: u32 = 0x018;
/// `INTERRUPT_ENABLE.frame`: The settings of the next frame were taken: what the one before showed is not read any more.
pub const INTERRUPT_ENABLE_FRAME: (u32, u32) = (0, 1);
/// `INTERRUPT_ENABLE.underrun`: A pixel came too late for the panel.
pub const INTERRUPT_ENABLE_UNDERRUN: (u32, u32) = (1, 1);
/// `INTERRUPT_ENABLE.bus_error`: A bus read answered SLVERR or DECERR.
pub const INTERRUPT_ENABLE_BUS_ERROR: (u32, u32) = (2, 1);
/// `INTERRUPT_ENABLE.settings`: The image of a frame does not fit the panel or the buffer: it is not shown.
pub const INTERRUPT_ENABLE_SETTINGS: (u32, u32) = (3, 1);
/// Events since they were last cleared; writing a one clears it.
pub const INTERRUPT: u32 = 0x01c;
/// `INTERRUPT.frame`: The settings of the next frame were taken: what the one before showed is not read any more.
pub const INTERRUPT_FRAME: (u32, u32) = (0, 1);
/// `INTERRUPT.underrun`: A pixel came too late for the panel.
pub const INTERRUPT_UNDERRUN: (u32, u32) = (1, 1);
/// `INTERRUPT.bus_error`: A bus read answered SLVERR or DECERR.
pub const INTERRUPT_BUS_ERROR: (u32, u32) = (2, 1);
/// `INTERRUPT.settings`: The image of a frame does not fit the panel or the buffer: it is not shown.
pub const INTERRUPT_SETTINGS: (u32, u32) = (3, 1);
/// When the registers below become the frame's.
pub const FLIP: u32 = 0x020;
/// `FLIP.pending`: Write 1: the next frame takes all of them, and this reads 1 until it has. The first frame after `enable` takes them in any case.
pub const FLIP_PENDING: (u32, u32) = (0, 1);
/// Frames whose settings were taken since reset, modulo 2^32.
pub const FRAMES: u32 = 0x024;
/// Address of the source's first pixel, 64-byte aligned, low half.
pub const BASE_LOW: u32 = 0x030;
/// `BASE_LOW.address`: Bits 31 to 6.
pub const BASE_LOW_ADDRESS: (u32, u32) = (6, 26);
/// High half.
pub const BASE_HIGH: u32 = 0x034;
/// `BASE_HIGH.address`: Bits 39 to 32.
pub const BASE_HIGH_ADDRESS: (u32, u32) = (0, 8);
/// Bytes from one source row to the next, a multiple of 64.
pub const STRIDE: u32 = 0x038;
/// `STRIDE.units`: In units of 64 bytes.
pub const STRIDE_UNITS: (u32, u32) = (6, 26);
/// Size of the source.
pub const SOURCE: u32 = 0x03c;
/// `SOURCE.width`: Pixels of a row; 0: no image.
pub const SOURCE_WIDTH: (u32, u32) = (0, 12);
/// `SOURCE.height`: Rows; 0: no image.
pub const SOURCE_HEIGHT: (u32, u32) = (16, 12);
/// Enlargement.
pub const SCALE: u32 = 0x040;
/// `SCALE` at reset.
pub const SCALE_RESET: u32 = 0x00000001;
/// `SCALE.factor`: Columns and rows of the panel for each source pixel, at least 1.
pub const SCALE_FACTOR: (u32, u32) = (0, 8);
/// Where the image lies on the panel.
pub const POSITION: u32 = 0x044;
/// `POSITION.x`: Column of its left edge.
pub const POSITION_X: (u32, u32) = (0, 12);
/// `POSITION.y`: Row of its upper edge.
pub const POSITION_Y: (u32, u32) = (16, 12);
/// Colour around the image, and of pixels that did not come.
pub const BACKGROUND: u32 = 0x048;
/// `BACKGROUND.blue`: 0 to 255.
pub const BACKGROUND_BLUE: (u32, u32) = (0, 8);
/// `BACKGROUND.green`: 0 to 255.
pub const BACKGROUND_GREEN: (u32, u32) = (8, 8);
/// `BACKGROUND.red`: 0 to 255.
pub const BACKGROUND_RED: (u32, u32) = (16, 8);
/// A line, in pixel clocks; every length of this register and the next three is at least 1.
pub const LINE_SIZE: u32 = 0x050;
/// `LINE_SIZE` at reset.
pub const LINE_SIZE_RESET: u32 = 0x00d20320;
/// `LINE_SIZE.active`: Pixels.
pub const LINE_SIZE_ACTIVE: (u32, u32) = (0, 12);
/// `LINE_SIZE.front`: Front porch.
pub const LINE_SIZE_FRONT: (u32, u32) = (16, 12);
/// Sync of a line, in pixel clocks.
pub const LINE_SYNC: u32 = 0x054;
/// `LINE_SYNC` at reset.
pub const LINE_SYNC_RESET: u32 = 0x001a0014;
/// `LINE_SYNC.sync`: Sync pulse.
pub const LINE_SYNC_SYNC: (u32, u32) = (0, 12);
/// `LINE_SYNC.back`: Back porch.
pub const LINE_SYNC_BACK: (u32, u32) = (16, 12);
/// A frame, in lines.
pub const FRAME_SIZE: u32 = 0x058;
/// `FRAME_SIZE` at reset.
pub const FRAME_SIZE_RESET: u32 = 0x001601e0;
/// `FRAME_SIZE.active`: Rows.
pub const FRAME_SIZE_ACTIVE: (u32, u32) = (0, 12);
/// `FRAME_SIZE.front`: Front porch.
pub const FRAME_SIZE_FRONT: (u32, u32) = (16, 12);
/// Sync of a frame, in lines.
pub const FRAME_SYNC: u32 = 0x05c;
/// `FRAME_SYNC` at reset.
pub const FRAME_SYNC_RESET: u32 = 0x000d000a;
/// `FRAME_SYNC.sync`: Sync pulse.
pub const FRAME_SYNC_SYNC: (u32, u32) = (0, 12);
/// `FRAME_SYNC.back`: Back porch.
pub const FRAME_SYNC_BACK: (u32, u32) = (16, 12);
/// Levels of the panel's signals.
pub const POLARITY: u32 = 0x060;
/// `POLARITY` at reset.
pub const POLARITY_RESET: u32 = 0x00000003;
/// `POLARITY.hsync_low`: `hsync` is low in its pulse.
pub const POLARITY_HSYNC_LOW: (u32, u32) = (0, 1);
/// `POLARITY.vsync_low`: `vsync` is low in its pulse.
pub const POLARITY_VSYNC_LOW: (u32, u32) = (1, 1);
