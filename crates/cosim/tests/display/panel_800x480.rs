//! The display as it is built, with the panel of its registers at reset, at 200 and 33.3 MHz.

use diffuser_cosim::bench::Random;
use diffuser_cosim::memory::DdrConfig;
use diffuser_cosim::panel::{BASE, Clocks, Panel};
use diffuser_cosim::tops::DisplayUnit;
use diffuser_device::Device;
use diffuser_device::display::{Driver, Settings};

use super::bench::{beginning, compare, expected};

#[test]
fn frames_of_800x480() {
    let clocks = Clocks {
        bus: 5000,
        pixel: 30_030,
        phase: 1234,
    };
    let mut panel = Panel::new(
        DisplayUnit::with_seed(1),
        DdrConfig::default(),
        4 * 800 * 480 + 4096,
        clocks,
        1,
    );
    let mut random = Random::new(1);
    for byte in panel.ddr_mut().bytes_mut() {
        *byte = random.bits() as u8;
    }
    let mut driver = Driver::new(panel).expect("a display");
    let plain = Settings::default();
    // as Linux would have it: a frame buffer of the panel's size
    let whole = Settings {
        base: BASE + 4096,
        stride: 3200,
        width: 800,
        height: 480,
        ..plain
    };
    // and what this is for: 32x32 pixels, 15 times enlarged
    let image = Settings {
        base: BASE,
        stride: 128,
        width: 32,
        height: 32,
        scale: 15,
        x: 160,
        background: 0x20_2020,
        ..plain
    };
    driver.configure(&whole).expect("fits");
    driver.configure(&image).expect("fits");
    assert_eq!(driver.status().expect("answers").frames, 2);
    let panel = driver.device_mut();
    let frames = [whole, image].map(|settings| expected(panel, settings, 1024));
    let total = 1056 * 525;
    assert_eq!(frames[0].signals().len(), total);
    panel.run_to(2 * total + 10_000);
    let signals = panel.take_signals();
    let begin = beginning(&signals, &frames[0]);
    compare(&signals, begin, &frames[0], "800x480");
    compare(&signals, begin + total, &frames[1], "32x32, 15 times");
    let status = driver.status().expect("answers");
    assert!(!status.underrun && !status.bus_error && !status.settings);
    assert_eq!(driver.device_mut().read_register(8).expect("answers"), 1024);
}
