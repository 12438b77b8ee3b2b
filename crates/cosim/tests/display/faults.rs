//! A memory that is too slow, one that fails, settings that cannot be shown.

use diffuser_cosim::bench::Random;
use diffuser_cosim::memory::DdrConfig;
use diffuser_cosim::panel::{BASE, Clocks};
use diffuser_device::Device;
use diffuser_device::display::{Driver, Frame, Settings, Signals};
use diffuser_isa::generated::display as register;

use super::bench::{CLOCKS, MOST, beginning, compare, expected, settings, small};

/// An image that takes the whole panel, so that any gap shows.
fn full() -> Settings {
    Settings {
        width: 48,
        height: 14,
        scale: 1,
        x: 0,
        y: 0,
        stride: 192,
        ..settings()
    }
}

/// The frame as it was shown: all of it, or the image up to some pixel and the background from there on. Which pixel.
fn shown_until(signals: &[Signals], frame: &Frame) -> usize {
    let whole = frame.signals();
    let pixels = whole.iter().zip(signals).filter(|(w, _)| w.de);
    let first = pixels.clone().position(|(w, s)| w.rgb != s.rgb);
    first.unwrap_or_else(|| pixels.count())
}

#[test]
fn a_starved_frame_shows_the_background_and_the_next_one_is_whole() {
    for round in 0..16u64 {
        let mut random = Random::new(300 + round);
        let clocks = Clocks {
            pixel: 600 + random.below(2000),
            ..CLOCKS
        };
        let mut driver =
            Driver::new(small(DdrConfig::default(), clocks, round)).expect("a display");
        let settings = Settings {
            scale: 1 + (round % 2) as u32,
            width: if round % 2 == 0 { 48 } else { 24 },
            height: if round % 2 == 0 { 14 } else { 7 },
            ..full()
        };
        driver.configure(&settings).expect("fits");
        let panel = driver.device_mut();
        let frame = expected(panel, settings, MOST);
        let total = frame.signals().len();
        panel.run_to(2 * total);
        let begin = beginning(panel.signals(), &frame);
        let cut = panel.signals().len() + random.below(total as u64) as usize;
        panel.run_to(cut);
        panel.starve(true);
        // less than a frame, or several
        let pause = [total / 3, total, 3 * total][round as usize % 3];
        panel.run_to(cut + pause);
        panel.starve(false);
        panel.run_to(cut + pause + 4 * total);
        let signals = panel.take_signals();
        let (mut whole, mut parts) = (0, 0);
        let frames = (signals.len() - begin) / total;
        for k in 0..frames {
            let at = begin + k * total;
            let until = shown_until(&signals[at..], &frame);
            let mut shown = frame.clone();
            shown.lose(until);
            compare(
                &signals,
                at,
                &shown,
                &format!("round {round}, frame {k}, until {until}"),
            );
            let hit = at + total > cut && at < cut + pause + total;
            assert!(
                hit || until == frame.pixels.len(),
                "round {round}, frame {k}"
            );
            if until < frame.pixels.len() {
                parts += 1;
            } else {
                whole += 1;
            }
        }
        let status = driver.status().expect("answers");
        assert_eq!(status.underrun, parts > 0, "round {round}");
        // less than that the buffer and the time between frames may hide
        assert!(parts > 0 || pause < 3 * total, "round {round}");
        assert!(whole >= 4, "round {round}: {whole} whole frames");
        // the flag stays until it is cleared
        driver.clear().expect("answers");
        driver.device_mut().run_to(2 * total);
        assert!(!driver.status().expect("answers").underrun);
    }
}

#[test]
fn a_read_that_fails_ends_the_image_for_a_frame() {
    for round in 0..12u64 {
        let mut random = Random::new(60 + round);
        let settings = full();
        let mut driver =
            Driver::new(small(DdrConfig::default(), CLOCKS, round)).expect("a display");
        driver.configure(&settings).expect("fits");
        let panel = driver.device_mut();
        let frame = expected(panel, settings, MOST);
        let total = frame.signals().len();
        panel.run_to(total);
        let begin = beginning(panel.signals(), &frame);
        panel.run_to(begin + 2 * total);
        // a byte of the image, or past the memory's end
        let (row, byte) = (random.below(14), random.below(4 * 48));
        let bad = settings.base + row * 192 + byte;
        panel.ddr_mut().fail_reads(bad, bad);
        panel.run_to(begin + 5 * total);
        let broken = Frame::new(settings, MOST, |address, bytes| {
            let there = panel.read_memory(address, bytes).is_ok();
            there && !(address..address + bytes.len() as u64).contains(&bad)
        });
        assert!(broken.bus_error);
        let status = driver.status().expect("answers");
        assert!(
            status.bus_error && !status.underrun,
            "round {round}: {status:?}"
        );
        let panel = driver.device_mut();
        panel.ddr_mut().heal();
        panel.run_to(begin + 9 * total);
        let signals = panel.take_signals();
        compare(&signals, begin, &frame, "before");
        compare(
            &signals,
            begin + 4 * total,
            &broken,
            &format!("round {round}, broken"),
        );
        compare(&signals, begin + 7 * total, &frame, "healed");
        driver.clear().expect("answers");
        driver.device_mut().run_to(3 * total);
        assert!(!driver.status().expect("answers").bus_error);
    }
}

#[test]
fn an_image_past_the_end_of_the_memory_is_an_error() {
    let mut driver = Driver::new(small(DdrConfig::default(), CLOCKS, 3)).expect("a display");
    let settings = Settings {
        base: BASE + super::bench::BYTES as u64 - 192 * 3,
        ..full()
    };
    driver.configure(&settings).expect("fits");
    let panel = driver.device_mut();
    let frame = expected(panel, settings, MOST);
    assert!(frame.bus_error);
    let total = frame.signals().len();
    panel.run_to(3 * total);
    let signals = panel.take_signals();
    compare(&signals, beginning(&signals, &frame), &frame, "the first");
    assert!(driver.status().expect("answers").bus_error);
}

#[test]
fn an_image_that_does_not_fit_is_not_shown() {
    let good = settings();
    let wrong = [
        Settings { scale: 0, ..good },
        Settings { x: 10, ..good },
        Settings { y: 3, ..good },
        Settings { height: 5, ..good },
        Settings {
            width: 65,
            scale: 1,
            x: 0,
            ..good
        },
        Settings { x: 4095, ..good },
        Settings {
            scale: 255,
            width: 4095,
            height: 4095,
            ..good
        },
    ];
    let none = [
        Settings { width: 0, ..good },
        Settings { height: 0, ..good },
    ];
    let mut driver = Driver::new(small(DdrConfig::default(), CLOCKS, 8)).expect("a display");
    let line = good.line.active;
    driver.configure(&good).expect("fits");
    let total = (good.line.total() * good.frame.total()) as usize;
    for (settings, is_wrong) in wrong
        .into_iter()
        .map(|s| (s, true))
        .chain(none.into_iter().map(|s| (s, false)))
    {
        assert_eq!(driver.configure(&settings).is_err(), is_wrong);
        driver.clear().expect("answers");
        // past the driver, with a panel as it is
        let panel = driver.device_mut();
        for (offset, value) in settings.registers() {
            panel.write_register(offset, value).expect("answers");
        }
        panel.write_register(register::FLIP, 1).expect("answers");
        while panel.read_register(register::FLIP).expect("answers") == 1 {}
        let begun = panel.signals().len();
        panel.run_to(begun + 3 * total);
        let signals = panel.take_signals();
        let pixels: Vec<_> = signals[signals.len() - total..]
            .iter()
            .filter(|s| s.de)
            .collect();
        assert_eq!(pixels.len(), (line * good.frame.active) as usize);
        assert!(
            pixels.iter().all(|s| s.rgb == good.background),
            "{settings:?}"
        );
        let status = driver.status().expect("answers");
        assert_eq!(status.settings, is_wrong, "{settings:?}");
        assert!(!status.underrun && !status.bus_error);
    }
}
