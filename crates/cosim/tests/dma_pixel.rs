//! Pixels of a store: both sides of every level, the ends, and many others.
#![cfg(top_dma_pixel)]

use diffuser_cosim::bench::Random;
use diffuser_cosim::tops::DmaPixel;
use diffuser_spec::sampler::pixel;

#[test]
fn every_level_begins_where_it_should() {
    let mut values = vec![i32::MIN, i32::MIN + 1, i32::MAX - 1, i32::MAX];
    for level in 0..=256i64 {
        // rnd(255 (x + 2^24), 25) >= level from here on
        let first = ((level << 25) - (1 << 24) + 254).div_euclid(255) - (1 << 24);
        values.extend((-2..=2).map(|d| (first + d) as i32));
        assert!(level == 0 || level == 256 || pixel(first as i32) == level as u8);
    }
    for edge in [-(1i64 << 24), 1 << 24, 0, 1 << 25, -(1 << 25)] {
        values.extend((-3..=3).map(|d| (edge + d) as i32));
    }
    let mut random = Random::new(1);
    values.extend((0..20_000).map(|_| random.bits() as i32));
    values.extend((0..100_000).map(|_| random.range(-(1 << 24) - 999, (1 << 24) + 999) as i32));
    let mut top = DmaPixel::new();
    for (i, &value) in values.iter().enumerate() {
        top.set_value_i(value as u32);
        top.tick();
        // four cycles from a value to its byte
        if let Some(at) = i.checked_sub(3) {
            assert_eq!(top.byte_o(), pixel(values[at]), "{}", values[at]);
        }
    }
}
