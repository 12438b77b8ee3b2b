use diffuser_device::Options;
use diffuser_device::host::Job;
use diffuser_isa::generated::Sample;
use diffuser_isa::{Common, Op, Space, Unit};
use diffuser_spec::normal::normal;
use diffuser_spec::philox::philox;

use crate::program::*;

const SAMPLE: Op = Op::Sample(Sample {
    stream: 0,
    channels: 1,
    noise: false,
    pixels: 1,
    state: 0,
    param: 0,
    image: 0,
});

/// Multiplies state 3 with 2, 3, 4... in one step after the other; a step's head comes from its record.
fn factorial(steps: u32) -> Job {
    let record = |step: u32| padded(entries(&scale(i64::from(step) + 2).encode().unwrap()), 128);
    Job {
        program: bytes(&[
            (FREE, load(Space::State, 0, 0, 1, 0)),
            (FREE, load(Space::Param, 1, 0, 11, 0)),
            (first(after(Unit::Dma, 0)), SAMPLE),
            (after(Unit::Sample, 1), load(Space::Param, 2, 0, 11, 0)),
            jump(2),
            (after(Unit::Sample, 1), store(Space::State, 0, 1, 1)),
            end(),
        ]),
        data: padded(3u32.to_le_bytes().to_vec(), 128),
        records: (0..steps).flat_map(record).collect(),
        record_stride: 128,
        steps,
        ..Job::default()
    }
}

fn result(job: &Job, options: Options) -> i32 {
    let mut driver = device(options);
    driver.load(job).unwrap();
    driver.run(BUDGET).unwrap();
    let mut word = [0; 4];
    driver.read_data(64, &mut word).unwrap();
    i32::from_le_bytes(word)
}

#[test]
fn every_step_takes_its_own_record() {
    for steps in 1..8u32 {
        let want = (2..steps as i32 + 2).product::<i32>() * 3;
        for jitter in [None, Some(1), Some(2), Some(3)] {
            let options = Options {
                jitter,
                ..Options::default()
            };
            assert_eq!(
                result(&factorial(steps), options),
                want,
                "{steps} {jitter:?}"
            );
        }
    }
}

/// Two heads in turn, the second of which is loaded behind the first at the end of a pass: the
/// first `sample` of a pass waits for all loads of the pass before but the last.
#[test]
fn negative_counts_reach_back_into_the_pass_before() {
    let second = Op::Sample(Sample {
        param: 16,
        ..match SAMPLE {
            Op::Sample(s) => s,
            _ => unreachable!(),
        }
    });
    let program = |back: i32| {
        bytes(&[
            (FREE, load(Space::State, 0, 0, 1, 0)),
            (FREE, load(Space::Param, 1, 0, 11, 0)),
            (FREE, load(Space::Param, 1, 16, 11, 2)),
            (first(after(Unit::Dma, back)), SAMPLE),
            (after(Unit::Dma, 0), second),
            (after(Unit::Sample, 1), load(Space::Param, 2, 0, 11, 0)),
            (after(Unit::Sample, 2), load(Space::Param, 2, 16, 11, 2)),
            jump(3),
            (after(Unit::Sample, 2), store(Space::State, 0, 1, 1)),
            end(),
        ])
    };
    let head = |factor| padded(entries(&scale(factor).encode().unwrap()), 128);
    let factors = [[2, 3], [5, 7], [-11, 13], [1, 17]];
    let mut job = Job {
        program: program(-1),
        data: padded(3u32.to_le_bytes().to_vec(), 128),
        records: factors.into_iter().flatten().flat_map(head).collect(),
        record_stride: 256,
        steps: 4,
        ..Job::default()
    };
    let want = factors.into_iter().flatten().product::<i64>() as i32 * 3;
    for jitter in [None, Some(5), Some(6), Some(7)] {
        let options = Options {
            jitter,
            ..Options::default()
        };
        assert_eq!(result(&job, options), want);
    }
    // one further back is too early, even where the times hide it
    job.program = program(-2);
    let mut driver = device(Options::default());
    driver.load(&job).unwrap();
    let error = driver.run(BUDGET).unwrap_err();
    assert_eq!(
        error.to_string(),
        "nothing orders them: load (descriptor 1, step 0) writes, \
         sample (descriptor 3, step 0) reads words 0 to 10 of param memory"
    );
}

#[test]
fn counts_go_on_past_2_to_the_16() {
    const STEPS: u32 = 70_000;
    let noisy = Op::Sample(Sample {
        noise: true,
        ..match SAMPLE {
            Op::Sample(s) => s,
            _ => unreachable!(),
        }
    });
    let head = scale(0).encode().unwrap();
    let head = diffuser_isa::generated::SampleHead {
        // half of the state each step, and noise: every step shows in the result
        next_state: 1 << 31,
        ..diffuser_isa::generated::SampleHead::decode(&head).unwrap()
    };
    let job = Job {
        program: bytes(&[
            (FREE, load(Space::State, 0, 0, 1, 0)),
            (FREE, load(Space::Param, 0, 0, 11, 2)),
            (
                first(after(Unit::Dma, 0).after(Unit::Sample, 0)),
                load(Space::Param, 0, 16, 1, 2),
            ),
            (after(Unit::Dma, 1), noisy),
            jump(2),
            (after(Unit::Sample, 1), store(Space::State, 0, 1, 1)),
            end(),
        ]),
        data: [
            padded(3u32.to_le_bytes().to_vec(), 128),
            padded(entries(&head.encode().unwrap()), 128),
        ]
        .concat(),
        steps: STEPS,
        seed: 7,
        image: 1 << 33,
        ..Job::default()
    };
    let mut x = 3i64;
    for step in 0..STEPS {
        let noise = i64::from(normal(philox([0, 0, 2, step + 1], [7, 0])[0]));
        // (x / 2 + noise / 16), rounded once
        x = (8 * x + noise + 8).div_euclid(16);
    }
    assert_eq!(i64::from(result(&job, Options::default())), x);
}

#[test]
fn a_program_without_a_loop_runs_once_whatever_the_steps() {
    let mut job = copy_job();
    job.steps = 9;
    let mut driver = device(Options::default());
    driver.load(&job).unwrap();
    driver.run(BUDGET).unwrap();
    let mut word = [0; 16];
    driver.read_data(64, &mut word).unwrap();
    assert_eq!(word, job.data[..16]);
}

#[test]
fn queues_are_short_and_dispatch_waits_for_room() {
    // far more than a queue holds, all behind the first transfer
    let mut program = vec![(FREE, load(Space::State, 0, 0, 1, 0))];
    program.push((FREE, load(Space::Param, 0, 0, 11, 2)));
    program.extend((0..40).map(|_| (after(Unit::Dma, 2), SAMPLE)));
    program.push((after(Unit::Sample, 40), store(Space::State, 0, 1, 1)));
    program.push(end());
    let job = Job {
        program: bytes(&program),
        data: [
            padded(3u32.to_le_bytes().to_vec(), 128),
            padded(entries(&scale(-1).encode().unwrap()), 128),
        ]
        .concat(),
        steps: 1,
        ..Job::default()
    };
    assert_eq!(result(&job, Options::default()), 3);
    let trace = Options {
        trace: true,
        ..Options::default()
    };
    let mut driver = device(trace);
    driver.load(&job).unwrap();
    driver.run(BUDGET).unwrap();
    let spans = driver.device().trace();
    let samples: Vec<_> = spans.iter().filter(|s| s.unit == Unit::Sample).collect();
    let depth = trace.timing.queue;
    for pair in samples.windows(depth + 1) {
        assert!(pair[depth].dispatched >= pair[0].start, "{pair:?}");
    }
    // the tag is repeated, one unit's descriptors follow each other
    assert!(samples.windows(2).all(|p| p[1].start >= p[0].end));
    assert!(spans.iter().all(|s| s.tag == Common::default().tag));
}
