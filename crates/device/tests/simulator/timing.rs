use diffuser_device::{Options, Timing, layers, table};
use diffuser_isa::Unit;

use crate::network::{STEPS, job, program};
use crate::program::*;

fn traced(timing: Timing) -> Options {
    Options {
        trace: true,
        timing,
        ..Options::default()
    }
}

#[test]
fn counters_are_the_sums_of_the_trace() {
    let mut list = program();
    for (i, (common, _)) in list.iter_mut().enumerate() {
        common.tag = i as u32 / 4;
    }
    let mut driver = device(traced(Timing::default()));
    driver.load(&job(&list)).unwrap();
    driver.run(BUDGET).unwrap();
    let counters = *driver.device().counters();
    let spans = driver.device().trace();
    // four loads, nine descriptors a pass, a store
    assert_eq!(spans.len(), 4 + 9 * STEPS as usize + 1);
    let mut before = [0; 5];
    for span in spans {
        assert!(span.dispatched <= span.start && span.start < span.end);
        assert!(span.end <= counters.cycles);
        if span.unit != Unit::Dma {
            assert!(span.start >= before[span.unit as usize], "{span:?}");
        }
        before[span.unit as usize] = span.end;
    }
    let layers = layers(spans);
    assert_eq!(
        layers.iter().map(|l| l.tag).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    let sum = |f: fn(&diffuser_device::Layer) -> u64| layers.iter().map(f).sum::<u64>();
    assert_eq!(sum(|l| l.descriptors), spans.len() as u64);
    assert_eq!(sum(|l| l.array_busy), counters.array_busy);
    assert_eq!(sum(|l| l.stall_weight), counters.stall_weight);
    assert_eq!(sum(|l| l.stall_operand), counters.stall_operand);
    assert_eq!(sum(|l| l.stall_bank), counters.stall_bank);
    assert_eq!(sum(|l| l.stall_store), counters.stall_store);
    let text = table(&layers, |tag| format!("layer {tag}"));
    let last: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(text.lines().count(), layers.len() + 2);
    assert_eq!(last[0], "all");
    assert_eq!(last[6], counters.array_busy.to_string());
    assert_eq!(last[10], counters.stall_store.to_string());
    // 4 groups, 9 taps: two planes, then one, each step
    assert_eq!(counters.array_busy, u64::from(STEPS) * 4 * 9 * 3);
    assert!(counters.stall_operand > 0);
}

/// The rows of a 4x4 image are the array's 4 banks: taps of one row never meet, and a group is one row.
#[test]
fn slower_memory_is_waited_for_by_the_array() {
    let cycles = |timing| {
        let mut driver = device(traced(timing));
        driver.load(&job(&program())).unwrap();
        driver.run(BUDGET).unwrap();
        *driver.device().counters()
    };
    let fast = cycles(Timing::default());
    assert_eq!(fast.stall_bank, 0);
    let slow = cycles(Timing {
        dma_bytes: 1,
        ..Timing::default()
    });
    assert!(slow.stall_weight > fast.stall_weight + 1000);
    assert!(slow.cycles > fast.cycles + 1000);
    assert_eq!(slow.array_busy, fast.array_busy);
    assert_eq!(slow.read_bytes, fast.read_bytes);
}
