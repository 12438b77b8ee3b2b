//! A small display with a small panel, and what it must show.

use diffuser_cosim::bench::Random;
use diffuser_cosim::memory::DdrConfig;
use diffuser_cosim::panel::{BASE, Clocks, Display, Panel};
use diffuser_cosim::tops::DisplaySmall;
use diffuser_device::Device;
use diffuser_device::display::{Frame, Lengths, Settings, Signals};

/// Widest source row of the small build.
pub const MOST: u32 = 64;
/// Bytes of its memory.
pub const BYTES: usize = 1 << 16;

/// Clocks of about the same rate.
pub const CLOCKS: Clocks = Clocks {
    bus: 1000,
    pixel: 1370,
    phase: 333,
};

/// A small display on memory full of noise.
pub fn small(config: DdrConfig, clocks: Clocks, seed: u64) -> Panel<DisplaySmall> {
    of(DisplaySmall::with_seed(seed as i32), config, clocks, seed)
}

/// The same of another build.
pub fn of<D: Display>(display: D, config: DdrConfig, clocks: Clocks, seed: u64) -> Panel<D> {
    let mut panel = Panel::new(display, config, BYTES, clocks, seed);
    let mut random = Random::new(seed);
    for byte in panel.ddr_mut().bytes_mut() {
        *byte = random.bits() as u8;
    }
    panel
}

/// A panel of 48x14 with time enough between frames for a memory that is slow, and an image of 13x5, three times enlarged.
pub fn settings() -> Settings {
    Settings {
        base: BASE + 4096 - 64,
        stride: 128,
        width: 13,
        height: 4,
        scale: 3,
        x: 5,
        y: 1,
        background: 0x12_3456,
        line: Lengths {
            active: 48,
            front: 7,
            sync: 5,
            back: 11,
        },
        frame: Lengths {
            active: 14,
            front: 4,
            sync: 2,
            back: 5,
        },
        hsync_low: true,
        vsync_low: false,
    }
}

/// The frame that memory as it is now gives.
pub fn expected<D: Display>(panel: &mut Panel<D>, settings: Settings, most: u32) -> Frame {
    Frame::new(settings, most, |address, bytes| {
        panel.read_memory(address, bytes).is_ok()
    })
}

/// Where in `signals` the first frame begins, which is this one: before it all are low.
pub fn beginning(signals: &[Signals], first: &Frame) -> usize {
    let high = |s: &Signals| *s != Signals::default();
    let there = signals.iter().position(high).expect("a signal");
    let low = first.signals().iter().position(high).expect("a signal");
    there.checked_sub(low).expect("the display begins at rest")
}

/// Holds the frame that begins at `at` against what the panel was shown.
#[track_caller]
pub fn compare(signals: &[Signals], at: usize, frame: &Frame, what: &str) {
    let expected = frame.signals();
    let shown = &signals[at..at + expected.len()];
    let total = frame.settings.line.total() as usize;
    if let Some(i) = (0..shown.len()).find(|&i| shown[i] != expected[i]) {
        panic!(
            "{what}: line {}, clock {}: {:x?}, not {:x?}",
            i / total,
            i % total,
            shown[i],
            expected[i]
        );
    }
}
