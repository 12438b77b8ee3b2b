use diffuser_device::host::HostError;
use diffuser_device::{Hazard, Memory, Options};
use diffuser_isa::generated::Conv;
use diffuser_isa::{Common, Op, Unit};

use crate::network::{RESULT, expected, job, program};
use crate::program::*;

fn run(
    program: &[(Common, Op)],
    options: Options,
) -> (Result<(), HostError>, Vec<u8>, Vec<Hazard>) {
    let mut driver = device(options);
    driver.load(&job(program)).unwrap();
    let outcome = driver.run(BUDGET);
    let mut result = vec![0; 256];
    driver
        .read_data(u64::from(RESULT) * 64, &mut result)
        .unwrap();
    let hazards = driver.device().hazards().to_vec();
    (outcome, result, hazards)
}

fn jittered(seed: u64, hazards: bool) -> Options {
    Options {
        jitter: Some(seed),
        hazards,
        ..Options::default()
    }
}

#[test]
fn results_do_not_depend_on_how_long_anything_takes() {
    let want = expected();
    assert!(want.iter().any(|&b| b != 0));
    for seed in 0..40 {
        let (outcome, result, hazards) = run(&program(), jittered(seed, true));
        outcome.unwrap();
        assert_eq!(hazards, []);
        assert!(result == want, "jitter {seed}");
    }
}

/// `common` without its wait for `unit`, or with a count that is one lower.
fn weakened(common: Common, unit: Unit, lower: bool) -> Common {
    let mut weak = Common {
        waits: 0,
        wait_dma: 0,
        wait_norm: 0,
        wait_prep: 0,
        wait_array: 0,
        wait_sample: 0,
        ..common
    };
    for &other in Unit::ALL {
        match common.wait(other) {
            Some(count) if other != unit => weak = weak.after(other, count),
            Some(count) if lower => weak = weak.after(other, count - 1),
            _ => {}
        }
    }
    if unit == Unit::Prep && !lower {
        weak.chain = false;
    }
    weak
}

/// Whichever wait is left out or too low: the race is found, and named with both descriptors. With
/// times as they happen to fall, wrong results show too, but not for every one.
#[test]
fn every_wait_that_is_left_out_is_found() {
    let want = expected();
    let good = program();
    let (mut cases, mut seen) = (0, 0);
    for (at, (common, op)) in good.iter().enumerate() {
        for &unit in Unit::ALL.iter().filter(|&&u| common.wait(u).is_some()) {
            for lower in [false, true] {
                let mut bad = good.clone();
                bad[at].0 = weakened(*common, unit, lower);
                let (outcome, _, hazards) = run(&bad, Options::default());
                let what = format!("{} {at} without {}, {lower}", op.name(), unit.name());
                let Err(HostError::Device(error)) = outcome else {
                    panic!("{what}: {outcome:?}");
                };
                assert_eq!(error.to_string(), hazards[0].to_string());
                match &hazards[0] {
                    Hazard::Race { first, second, .. } => {
                        assert!(first.writes || second.writes, "{what}: {}", hazards[0])
                    }
                    Hazard::Chain { index } => assert_eq!(*index, at as u32, "{what}"),
                    Hazard::Future { .. } => panic!("{what}: {}", hazards[0]),
                }
                cases += 1;
                seen += u32::from((0..12).any(|seed| run(&bad, jittered(seed, false)).1 != want));
            }
        }
    }
    assert_eq!(cases, 20);
    assert!(seen > 12, "only {seen} of {cases} change a result");
}

#[test]
fn a_race_names_both_descriptors_and_the_words() {
    let mut bad = program();
    bad[9].0 = FREE;
    let (outcome, _, hazards) = run(&bad, Options::default());
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "nothing orders them: load (descriptor 1, step 0) writes, \
         sample (descriptor 9, step 0) reads words 30 to 40 of param memory"
    );
    let output = hazards.iter().find_map(|h| match h {
        Hazard::Race {
            first,
            second,
            memory: Some(Memory::Stream),
            words,
        } => Some((first.index, second.index, words.clone())),
        _ => None,
    });
    assert_eq!(output, Some((8, 9, 40..56)));
}

#[test]
fn dma_is_not_in_order_with_itself() {
    let mut job = copy_job();
    job.program = bytes(&[
        (FREE, load(diffuser_isa::Space::State, 0, 5, 1, 0)),
        (FREE, store(diffuser_isa::Space::State, 5, 1, 1)),
        end(),
    ]);
    let mut driver = device(Options::default());
    driver.load(&job).unwrap();
    assert_eq!(
        driver.run(BUDGET).unwrap_err().to_string(),
        "nothing orders them: load (descriptor 0, step 0) writes, \
         store (descriptor 1, step 0) reads words 5 to 5 of state memory"
    );
    // the same bytes of DDR
    job.program = bytes(&[
        (FREE, store(diffuser_isa::Space::State, 5, 1, 1)),
        (FREE, load(diffuser_isa::Space::Stream, 0, 0, 4, 1)),
        end(),
    ]);
    let mut driver = device(Options::default());
    driver.load(&job).unwrap();
    assert_eq!(
        driver.run(BUDGET).unwrap_err().to_string(),
        "nothing orders them: store (descriptor 0, step 0) writes, \
         load (descriptor 1, step 0) reads bytes 0x1040 to 0x104f of DDR"
    );
}

#[test]
fn waits_for_what_does_not_stand_before_are_found() {
    let mut bad = program();
    bad[5].0 = bad[5].0.after(Unit::Norm, 1);
    let (_, _, hazards) = run(&bad, Options::default());
    assert_eq!(
        hazards[0],
        Hazard::Future {
            index: 5,
            unit: Unit::Norm,
            count: 1
        }
    );
    assert_eq!(
        hazards[0].to_string(),
        "descriptor 5 waits for norm number 1, which does not stand before it"
    );
}

#[test]
fn a_chain_to_another_operand_is_found() {
    let mut bad = program();
    let Op::Conv(conv) = bad[8].1 else {
        unreachable!()
    };
    bad[8].1 = Op::Conv(Conv {
        operand: 31,
        ..conv
    });
    let (_, _, hazards) = run(&bad, Options::default());
    assert_eq!(hazards[0], Hazard::Chain { index: 8 });
}

/// What overwrites the operand of a chained conv must wait for both.
#[test]
fn a_chained_conv_does_not_stand_for_its_prep() {
    let mut bad = program();
    // the next step's parameters wait for `sample`, so for the conv, but not for the prep
    bad[10].0 = after(Unit::Sample, 1);
    let (_, _, hazards) = run(&bad, Options::default());
    let Hazard::Race {
        first,
        second,
        memory,
        ..
    } = &hazards[0]
    else {
        panic!("{:?}", hazards[0]);
    };
    assert_eq!(
        (first.index, second.index, *memory),
        (7, 10, Some(Memory::Param))
    );
}
