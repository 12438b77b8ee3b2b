//! The bindings themselves: each width, combinational outputs, the clock, and two models side by side.
#![cfg(top_glue)]

use diffuser_cosim::bench::{Random, pack, unpack};
use diffuser_cosim::tops::Glue;

#[test]
fn ports_of_each_width() {
    let mut top = Glue::new();
    let mut random = Random::new(5);
    for _ in 0..100 {
        let narrow = random.below(32) as u8;
        let half = random.bits() as u16;
        let word = random.range(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
        let double = random.bits();
        let wide: Vec<i64> = (0..10).map(|_| random.range(-512, 511)).collect();
        top.set_narrow_i(narrow);
        top.set_half_i(half);
        top.set_word_i(word as u32);
        top.set_double_i(double);
        top.set_wide_i(pack(10, wide.iter().copied()));
        top.eval();
        assert_eq!(top.parity_o(), narrow.count_ones() % 2 == 1);
        top.tick();
        assert_eq!(
            (top.narrow_o(), top.half_o(), top.double_o()),
            (narrow, half, double)
        );
        assert_eq!(top.word_o() as i32, word.wrapping_neg());
        assert_eq!(unpack(&top.wide_o(), 10, 10), wide);
    }
}

#[test]
fn models_are_apart_and_clocked() {
    let (mut a, mut b) = (Glue::new(), Glue::with_seed(2));
    assert_ne!(
        a.count_o(),
        b.count_o(),
        "registers begin with seeded noise"
    );
    for top in [&mut a, &mut b] {
        top.set_rst_ni(false);
        top.tick();
        top.set_rst_ni(true);
        assert_eq!(top.count_o(), 0);
    }
    a.tick();
    a.tick();
    b.tick();
    assert_eq!((a.count_o(), b.count_o()), (2, 1));
}
