//! Whole frames, flips, on and off.

use diffuser_cosim::bench::Random;
use diffuser_cosim::memory::DdrConfig;
use diffuser_cosim::panel::{BASE, Clocks};
use diffuser_device::Device;
use diffuser_device::display::{Driver, Lengths, Settings, stride};
use diffuser_isa::generated::display as register;

use super::bench::{BYTES, CLOCKS, MOST, beginning, compare, expected, settings, small};

/// Settings of a panel of at most 60x16, with an image that fits it.
fn random_settings(random: &mut Random) -> Settings {
    let mut between = |low: i64, high: i64| random.range(low, high) as u32;
    let line = Lengths {
        active: between(1, 60),
        front: between(1, 9),
        sync: between(1, 9),
        back: between(30, 50),
    };
    let frame = Lengths {
        active: between(1, 16),
        front: between(1, 4),
        sync: between(1, 3),
        back: between(10, 14),
    };
    let scale = between(1, 4).min(line.active).min(frame.active);
    let width = between(1, (line.active / scale).into());
    let height = between(1, (frame.active / scale).into());
    let stride = stride(width) + 64 * between(0, 2);
    let last = BYTES as u64 - u64::from(stride * height);
    Settings {
        base: BASE + 64 * u64::from(between(0, (last / 64) as i64)),
        stride,
        width,
        height,
        scale,
        x: between(0, (line.active - width * scale).into()),
        y: between(0, (frame.active - height * scale).into()),
        background: between(0, 0xff_ffff),
        line,
        frame,
        hsync_low: between(0, 1) == 1,
        vsync_low: between(0, 1) == 1,
    }
}

#[test]
fn frames_of_random_panels_at_unrelated_clocks() {
    // pixels slower, as fast, and faster than the bus; edges that wander past each other and edges that meet
    let clocks = [
        (1000, 6007),
        (1000, 3001),
        (1000, 1373),
        (1000, 1001),
        (1000, 1000),
        (1000, 999),
        (1000, 731),
        (1000, 500),
        (1000, 409),
    ];
    for (round, (bus, pixel)) in clocks.into_iter().cycle().take(36).enumerate() {
        let seed = 700 + round as u64;
        let mut random = Random::new(seed);
        let clocks = Clocks {
            bus,
            pixel,
            phase: random.below(pixel),
        };
        let settings = random_settings(&mut random);
        let mut driver = Driver::new(small(DdrConfig::default(), clocks, seed)).expect("a display");
        driver.configure(&settings).expect("fits");
        let panel = driver.device_mut();
        let total = (settings.line.total() * settings.frame.total()) as usize;
        let frame = expected(panel, settings, MOST);
        panel.run_to(4 * total);
        let signals = panel.take_signals();
        let begin = beginning(&signals, &frame);
        for k in 0..2 {
            let what = format!("round {round}, {clocks:?}, {settings:?}, frame {k}");
            compare(&signals, begin + k * total, &frame, &what);
        }
        let status = driver.status().expect("answers");
        assert!(
            !status.underrun && !status.bus_error && !status.settings && status.busy,
            "round {round}: {status:?}"
        );
        assert!(status.frames >= 3);
    }
}

#[test]
fn a_flip_shows_all_of_the_next_frame_and_nothing_of_the_one_before() {
    let mut random = Random::new(41);
    let mut driver = Driver::new(small(DdrConfig::default(), CLOCKS, 41)).expect("a display");
    let first = settings();
    driver.configure(&first).expect("fits");
    let mut shown = vec![(1, expected(driver.device_mut(), first, MOST))];
    for page in 0..12u64 {
        // at any time within a frame
        for _ in 0..random.below(3000) {
            driver.device_mut().cycle();
        }
        // registers alone change nothing
        let wild = [(register::SCALE, 1), (register::BACKGROUND, 0xff_ffff)];
        for (offset, value) in wild {
            let device = driver.device_mut();
            device.write_register(offset, value).expect("answers");
        }
        let next = Settings {
            base: BASE + 0x2000 * (1 + page % 2),
            scale: 1 + random.below(3) as u32,
            y: random.below(3) as u32,
            background: random.below(1 << 24) as u32,
            ..first
        };
        driver.configure(&next).expect("fits");
        let taken = driver.status().expect("answers").frames;
        let panel = driver.device_mut();
        shown.push((taken, expected(panel, next, MOST)));
        // what was shown before is the host's again
        let noise: Vec<u8> = (0..0x2000).map(|_| random.bits() as u8).collect();
        let other = BASE + 0x2000 * (1 + (page + 1) % 2);
        panel.write_memory(other, &noise).expect("there");
    }
    let last = driver.status().expect("answers").frames as usize + 1;
    let total = (first.line.total() * first.frame.total()) as usize;
    let panel = driver.device_mut();
    panel.run_to((last + 3) * total);
    let signals = panel.take_signals();
    let begin = beginning(&signals, &shown[0].1);
    for k in 0..last {
        // frames count from 1
        let (_, frame) = shown
            .iter()
            .rfind(|(taken, _)| *taken as usize <= k + 1)
            .expect("the first");
        compare(&signals, begin + k * total, frame, &format!("frame {k}"));
    }
    assert!(!driver.status().expect("answers").underrun);
}

#[test]
fn timing_and_size_change_with_a_frame() {
    let mut driver = Driver::new(small(DdrConfig::default(), CLOCKS, 5)).expect("a display");
    let first = settings();
    driver.configure(&first).expect("fits");
    let frame = expected(driver.device_mut(), first, MOST);
    // the widest row, bursts of 16 beats, and one of 15 that ends within a word
    let mut second = first;
    second.line.active = 64;
    second.line.front = 1;
    second.frame.active = 17;
    second.frame.sync = 1;
    (second.width, second.height, second.scale) = (64, 17, 1);
    (second.x, second.y, second.base, second.stride) = (0, 0, BASE + 4096, 256);
    (second.hsync_low, second.vsync_low) = (false, true);
    let third = Settings {
        width: 58,
        x: 6,
        ..second
    };
    driver.configure(&second).expect("fits");
    driver.configure(&third).expect("fits");
    assert_eq!(driver.status().expect("answers").frames, 3);
    let panel = driver.device_mut();
    let (second, third) = (expected(panel, second, MOST), expected(panel, third, MOST));
    let (a, b) = (frame.signals().len(), second.signals().len());
    panel.run_to(3 * a + 3 * b);
    let signals = panel.take_signals();
    let begin = beginning(&signals, &frame);
    compare(&signals, begin, &frame, "the first");
    compare(&signals, begin + a, &second, "the second");
    compare(&signals, begin + a + b, &third, "the third");
    compare(&signals, begin + a + 2 * b, &third, "the fourth");
}

#[test]
fn off_in_the_middle_is_dark_at_once_and_reads_no_more() {
    for round in 0..24u64 {
        let mut random = Random::new(900 + round);
        let clocks = Clocks {
            pixel: 900 + random.below(2000),
            ..CLOCKS
        };
        let config = DdrConfig {
            latency: 100 + random.below(200),
            ..DdrConfig::default()
        };
        let mut driver = Driver::new(small(config, clocks, round)).expect("a display");
        let settings = Settings {
            scale: 1,
            height: 14,
            width: 40,
            y: 0,
            stride: 192,
            ..settings()
        };
        for _ in 0..3 {
            driver.configure(&settings).expect("fits");
            for _ in 0..random.below(4000) {
                driver.device_mut().cycle();
            }
            driver.disable().expect("comes to rest");
            let panel = driver.device_mut();
            assert!(panel.ddr_mut().idle(), "reads are left");
            panel.run_to(panel.signals().len() + 12);
            panel.take_signals();
            let before = panel.ddr_mut().read_bytes();
            for _ in 0..2000 {
                panel.cycle();
                assert!(!panel.outputs().read.arvalid);
            }
            assert_eq!(panel.ddr_mut().read_bytes(), before);
            assert!(panel.take_signals().iter().all(|s| *s == <_>::default()));
            driver.clear().expect("answers");
        }
        // and on again as if nothing had been
        let settings = Settings {
            line: Lengths {
                back: 300,
                ..settings.line
            },
            frame: Lengths {
                back: 14,
                ..settings.frame
            },
            ..settings
        };
        driver.configure(&settings).expect("fits");
        let panel = driver.device_mut();
        let frame = expected(panel, settings, MOST);
        let total = frame.signals().len();
        panel.run_to(3 * total);
        let signals = panel.take_signals();
        let begin = beginning(&signals, &frame);
        compare(&signals, begin, &frame, &format!("round {round}, again"));
        assert!(!driver.status().expect("answers").underrun, "round {round}");
    }
}

#[test]
fn on_and_off_at_any_moment() {
    for round in 0..12u64 {
        let mut random = Random::new(1200 + round);
        let clocks = Clocks {
            pixel: 400 + random.below(4000),
            ..CLOCKS
        };
        let mut driver =
            Driver::new(small(DdrConfig::default(), clocks, round)).expect("a display");
        // a frame of few clocks: off comes in each part of it
        let mut settings = settings();
        settings.frame.front = 9;
        for (offset, value) in settings.registers() {
            let device = driver.device_mut();
            device.write_register(offset, value).expect("answers");
        }
        for _ in 0..40 {
            for on in [1, 0] {
                let panel = driver.device_mut();
                let written = panel.write_register(register::CONTROL, on);
                written.expect("answers");
                let most = [10, 100, 3000][random.below(3) as usize];
                for _ in 0..random.below(most) {
                    panel.cycle();
                }
            }
        }
        driver.disable().expect("comes to rest");
        let panel = driver.device_mut();
        panel.run_to(panel.signals().len() + 12);
        panel.take_signals();
        driver.clear().expect("answers");
        settings.frame.back = 14;
        settings.line.back = 120;
        driver.configure(&settings).expect("fits");
        let panel = driver.device_mut();
        let frame = expected(panel, settings, MOST);
        panel.run_to(3 * frame.signals().len());
        let signals = panel.take_signals();
        let begin = beginning(&signals, &frame);
        compare(&signals, begin, &frame, &format!("round {round}"));
        assert!(!driver.status().expect("answers").underrun, "round {round}");
    }
}
