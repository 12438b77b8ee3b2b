//! Registers: values at reset, bits that there are, bytes of a write, events, against the model's.

use diffuser_cosim::bench::Random;
use diffuser_cosim::memory::DdrConfig;
use diffuser_device::display::{Driver, Model};
use diffuser_device::{Ddr, Device};
use diffuser_isa::generated::display as register;

use super::bench::{CLOCKS, MOST, settings, small};

#[test]
fn registers_hold_what_is_written_to_their_bits() {
    let mut panel = small(DdrConfig::default(), CLOCKS, 77);
    let mut model = Model::new(Ddr::new(0));
    let mut random = Random::new(77);
    let check = |panel: &mut dyn Device, model: &mut Model| {
        for offset in (0..0x140).step_by(4) {
            let expected = match offset {
                register::LIMITS => MOST,
                _ => model.read_register(offset).expect("answers"),
            };
            let found = panel.read_register(offset).expect("answers");
            assert_eq!(found, expected, "register {offset:#x}");
        }
        assert_eq!(panel.read_register(0xffc).expect("answers"), 0);
    };
    check(&mut panel, &mut model);
    for _ in 0..40 {
        for offset in (0x18..0x80).step_by(4) {
            let (value, strobe) = (random.bits() as u32, random.below(16) as u8);
            panel.write_bytes(offset, value, strobe).expect("answers");
            let mask = (0..4).map(|i| (u32::from(strobe >> i & 1) * 0xff) << (8 * i));
            let mask = mask.fold(0, |all, m| all | m);
            let old = model.read_register(offset).expect("answers");
            // a one clears an event, or asks for a flip; a byte that is not written does neither
            let keep = match offset {
                register::INTERRUPT | register::FLIP => 0,
                _ => old & !mask,
            };
            model
                .write_register(offset, keep | value & mask)
                .expect("answers");
        }
        check(&mut panel, &mut model);
    }
    panel.reset().expect("resets");
    model.reset().expect("resets");
    check(&mut panel, &mut model);
}

#[test]
fn events_raise_the_line_where_they_are_enabled() {
    let mut driver = Driver::new(small(DdrConfig::default(), CLOCKS, 9)).expect("a display");
    driver.configure(&settings()).expect("fits");
    let panel = driver.device_mut();
    assert_eq!(panel.outputs().qos, 15);
    panel
        .write_register(register::INTERRUPT_ENABLE, 0)
        .expect("answers");
    panel
        .write_register(register::INTERRUPT, u32::MAX)
        .expect("answers");
    assert!(!panel.wait(20_000).expect("runs"), "no event is enabled");
    assert_eq!(
        panel.read_register(register::INTERRUPT).expect("answers"),
        1
    );
    panel
        .write_register(register::INTERRUPT_ENABLE, 1)
        .expect("answers");
    assert!(panel.wait(10).expect("runs"));
    let before = panel.read_register(register::FRAMES).expect("answers");
    panel
        .write_register(register::INTERRUPT, 1)
        .expect("answers");
    // once a frame
    assert_eq!(
        panel.read_register(register::INTERRUPT).expect("answers"),
        0
    );
    assert!(panel.wait(20_000).expect("runs"));
    let after = panel.read_register(register::FRAMES).expect("answers");
    assert!(after == before + 1, "{before}, {after}");
}
