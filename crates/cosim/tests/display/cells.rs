//! The display made of the vendor's cells (crossings' flip-flops, block RAM), as far as models of them go.

use diffuser_cosim::memory::DdrConfig;
use diffuser_cosim::panel::Clocks;
use diffuser_cosim::tops::DisplayCells;
use diffuser_device::display::{Driver, Settings};

use super::bench::{CLOCKS, beginning, compare, expected, of, settings};

#[test]
fn the_same_frames_from_cells() {
    for (seed, pixel) in [(1, 1370), (2, 640)] {
        let clocks = Clocks { pixel, ..CLOCKS };
        let panel = of(DisplayCells::new(), DdrConfig::default(), clocks, seed);
        let mut driver = Driver::new(panel).expect("a display");
        // the buffer is written all around more than once
        let mut settings = Settings {
            width: 150,
            height: 14,
            scale: 1,
            x: 3,
            y: 0,
            stride: 640,
            ..settings()
        };
        settings.line.active = 156;
        settings.frame.back = 12;
        driver.configure(&settings).expect("fits");
        let panel = driver.device_mut();
        let frame = expected(panel, settings, 1024);
        let total = frame.signals().len();
        panel.run_to(4 * total);
        let signals = panel.take_signals();
        let begin = beginning(&signals, &frame);
        for k in 0..3 {
            compare(&signals, begin + k * total, &frame, &format!("frame {k}"));
        }
        assert!(!driver.status().expect("answers").underrun);
    }
}
