//! Every figure that a jackknife leaves a block out of is the figure of the other rows.

mod common;

use diffuser_metrics::inception::{inception_jackknife, inception_score};
use diffuser_metrics::kernel::{kernel_distance, kernel_jackknife, within};
use diffuser_metrics::precision_recall::{NEIGHBOURS, membership, precision_recall};
use diffuser_metrics::{
    Features, Jackknife, Moments, blocks, frechet_distance, frechet_jackknife_of_pairs,
};

const DIM: usize = 16;
const BLOCKS: usize = 7;

fn features(rows: &[f32]) -> Features<'_> {
    Features::new(rows, DIM).expect("whole rows")
}

/// `rows` without those of block `b`.
fn rest(rows: &[f32], b: usize) -> Vec<f32> {
    let block = blocks(rows.len() / DIM, BLOCKS).expect("rows enough")[b].clone();
    [&rows[..block.start * DIM], &rows[block.end * DIM..]].concat()
}

fn check(got: &Jackknife, all: f64, without: impl Fn(usize) -> f64) {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6 * b.abs().max(1e-3);
    assert!(near(got.estimate, all), "{} {all}", got.estimate);
    assert_eq!(got.without.len(), BLOCKS);
    for (b, &got) in got.without.iter().enumerate() {
        let want = without(b);
        assert!(near(got, want), "block {b}: {got}, expected {want}");
    }
}

#[test]
fn blocks_cover_all_rows_once() {
    for (rows, count) in [(7, 7), (100, 7), (101, 20), (2, 2)] {
        let blocks = blocks(rows, count).expect("defined");
        let all: Vec<_> = blocks.iter().cloned().flatten().collect();
        assert_eq!(all, (0..rows).collect::<Vec<_>>());
        let lengths = blocks.iter().map(ExactSizeIterator::len);
        assert!(lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1);
    }
    assert!(blocks(6, 7).is_err());
    assert!(blocks(6, 1).is_err());
}

#[test]
fn kernel_distances() {
    let real = common::features(1, 60, DIM, 0);
    let rows = common::features(2, 101, DIM, 1);
    let real = features(&real);
    let inside = within(real).expect("rows enough");
    let got = kernel_jackknife(real, inside, features(&rows), BLOCKS).expect("defined");
    let direct = |rows: &[f32]| kernel_distance(real, features(rows)).expect("defined");
    check(&got, direct(&rows), |b| direct(&rest(&rows, b)));
}

#[test]
fn inception_scores() {
    let rows: Vec<f32> = common::features(2, 101, DIM, 1)
        .iter()
        .map(|v| 4.0 * v)
        .collect();
    let got = inception_jackknife(features(&rows), BLOCKS).expect("defined");
    let direct = |rows: &[f32]| inception_score(features(rows), 1).expect("defined").mean;
    check(&got, direct(&rows), |b| direct(&rest(&rows, b)));
}

#[test]
fn distances_of_pairs_leave_a_block_out_on_both_sides() {
    let a = common::features(1, 140, DIM, 0);
    let b = common::features(2, 140, DIM, 1);
    let moments = |rows: &[f32]| Moments::of(features(rows));
    let parts = |rows: &[f32]| -> Vec<_> { rows.chunks(20 * DIM).map(moments).collect() };
    let got = frechet_jackknife_of_pairs(&parts(&a), &parts(&b)).expect("defined");
    let direct = |a: &[f32], b: &[f32]| {
        frechet_distance(&moments(a), &moments(b))
            .expect("defined")
            .distance
    };
    check(&got, direct(&a, &b), |k| direct(&rest(&a, k), &rest(&b, k)));
    assert!(frechet_jackknife_of_pairs(&parts(&a), &parts(&b)[..6]).is_err());
}

#[test]
fn ratios_are_of_the_same_blocks() {
    let a = Jackknife {
        estimate: 6.0,
        without: vec![8.0, 3.0],
    };
    let b = Jackknife {
        estimate: 2.0,
        without: vec![4.0, 3.0],
    };
    let ratio = a.ratio(&b).expect("above zero");
    assert_eq!((ratio.estimate, &ratio.without[..]), (3.0, &[2.0, 1.0][..]));
    let zero = Jackknife {
        estimate: 1.0,
        without: vec![0.0, 1.0],
    };
    assert!(a.ratio(&zero).is_err());
}

#[test]
fn memberships_are_what_the_shares_are_means_of() {
    let real = common::features(1, 80, DIM, 0);
    let rows = common::features(2, 101, DIM, 1);
    let got = membership(features(&real), features(&rows), NEIGHBOURS).expect("defined");
    let shares = precision_recall(features(&real), features(&rows), NEIGHBOURS).expect("defined");
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    for (each, count, share) in [
        (got.precision(), 101, shares.precision),
        (got.recall(), 80, shares.recall),
        (got.coverage(), 80, shares.coverage),
        (got.density(), 101, shares.density),
    ] {
        assert_eq!(each.len(), count);
        assert!((mean(&each) - share).abs() < 1e-12, "{share}");
        assert!(share > 0.0, "a case that shows something");
    }
}
