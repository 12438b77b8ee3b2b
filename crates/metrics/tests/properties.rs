//! What must hold of the measures without a golden figure: identities, closed forms, refusals.

mod common;

use diffuser_metrics::{
    Features, Jackknife, MetricsError, Moments, Reference, Statistic, bootstrap, frechet_distance,
    frechet_jackknife,
    inception::inception_score,
    kernel::kernel_distance,
    paired::{Image, cosine_distance, psnr, relative_rms_error, ssim},
    precision_recall::precision_recall,
};
use proptest::prelude::*;

fn near(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= 1e-10 * scale.abs().max(1e-300)
}

fn largest(moments: &Moments) -> f64 {
    moments.comoment().iter().fold(1.0, |m, v| m.max(v.abs()))
}

/// Equal but for rounding errors of numbers as large as the co-moments of `scale`.
fn same_moments(a: &Moments, b: &Moments, scale: &Moments) -> bool {
    let largest = largest(scale);
    let means = a
        .mean()
        .iter()
        .zip(b.mean())
        .all(|(a, b)| near(*a, *b, 1e3));
    let pairs = a.comoment().iter().zip(b.comoment());
    a.count() == b.count() && means && pairs.into_iter().all(|(a, b)| near(*a, *b, largest))
}

fn moments(rows: &[f32], dim: usize) -> Moments {
    Moments::of(Features::new(rows, dim).expect("rows"))
}

proptest! {
    #[test]
    fn parts_merge_to_the_whole_and_come_off_again(
        rows in prop::collection::vec(prop::array::uniform3(-100_f32..100.0), 2..40),
        at in 0_usize..40,
    ) {
        let flat: Vec<f32> = rows.iter().flatten().copied().collect();
        let at = at.min(rows.len());
        let whole = moments(&flat, 3);
        let (mut first, second) = (moments(&flat[..3 * at], 3), moments(&flat[3 * at..], 3));
        let alone = first.clone();
        first.merge(&second).unwrap();
        prop_assert!(same_moments(&first, &whole, &whole));
        first.remove(&second).unwrap();
        // a difference: what is taken away leaves its own rounding errors behind
        prop_assert!(same_moments(&first, &alone, &whole));
        let mut one_by_one = Moments::new(3);
        for row in &rows {
            one_by_one.add(row).unwrap();
        }
        prop_assert!(same_moments(&one_by_one, &whole, &whole));
        let back = Moments::from_parts(whole.count(), whole.mean().to_vec(), whole.comoment().to_vec());
        prop_assert_eq!(back.unwrap(), whole);
    }

    #[test]
    fn distances_are_symmetric_and_zero_to_oneself(seed in 0_u64..1000, rows in 2_usize..40) {
        let (a, b) = (common::features(seed, rows, 6, 0), common::features(seed + 1, 30, 6, 1));
        let (a, b) = (moments(&a, 6), moments(&b, 6));
        // roots of eigenvalues that are rounded zeros: 1e-8 of the covariance, not 1e-16
        let scale = 1e3;
        let (ab, ba) = (frechet_distance(&a, &b).unwrap(), frechet_distance(&b, &a).unwrap());
        prop_assert!(near(ab.distance, ba.distance, scale), "{ab:?} {ba:?}");
        prop_assert!(ab.distance > 0.0);
        let own = frechet_distance(&a, &a).unwrap().distance;
        prop_assert!(near(own, 0.0, scale), "{own}");
    }
}

/// Moments of a normal distribution with a diagonal covariance.
fn diagonal(mean: [f64; 2], variance: [f64; 2]) -> Moments {
    let n = 101;
    let [a, b] = variance.map(|v| v * 100.0);
    Moments::from_parts(n, mean.to_vec(), vec![a, 0.0, b]).expect("valid")
}

#[test]
fn frechet_distance_has_its_closed_form_where_covariances_commute() {
    let (a, b) = (
        diagonal([1.0, 2.0], [4.0, 9.0]),
        diagonal([4.0, 6.0], [1.0, 25.0]),
    );
    let got = frechet_distance(&a, &b).unwrap();
    assert!(near(got.mean_term, 25.0, 1.0), "{got:?}");
    // (2 - 1)^2 + (3 - 5)^2
    assert!(near(got.trace_term, 5.0, 1.0), "{got:?}");
    assert!(near(got.distance, 30.0, 1.0), "{got:?}");
    let point = diagonal([0.0, 0.0], [0.0, 0.0]);
    let got = frechet_distance(&point, &b).unwrap();
    assert!(near(got.trace_term, 26.0, 1.0), "{got:?}");
}

#[test]
fn stored_moments_are_checked() {
    assert!(Moments::from_parts(3, vec![0.0; 2], vec![1.0; 4]).is_err());
    assert!(Moments::from_parts(3, vec![0.0; 2], vec![1.0, f64::NAN, 1.0]).is_err());
    assert!(Moments::from_parts(3, vec![0.0; 2], vec![1.0, 0.0, -1.0]).is_err());
    assert!(Moments::new(2).covariance().is_err());
    let mut m = Moments::new(2);
    assert!(m.add(&[1.0]).is_err());
    assert!(m.add_batch(&[1.0, f32::INFINITY]).is_err());
    assert!(m.merge(&Moments::new(3)).is_err());
    assert!(m.remove(&diagonal([0.0; 2], [1.0; 2])).is_err());
    assert_eq!(m, Moments::new(2), "nothing was added");
}

#[test]
fn a_set_covers_itself_and_nothing_far_away() {
    let a = common::features(3, 300, 8, 0);
    let far: Vec<f32> = a.iter().map(|v| v + 1000.0).collect();
    let (a, far) = (
        Features::new(&a, 8).unwrap(),
        Features::new(&far, 8).unwrap(),
    );
    let own = precision_recall(a, a, 3).unwrap();
    assert_eq!((own.precision, own.recall, own.coverage), (1.0, 1.0, 1.0));
    let none = precision_recall(a, far, 3).unwrap();
    assert_eq!((none.precision, none.recall), (0.0, 0.0));
    assert_eq!((none.density, none.coverage), (0.0, 0.0));
    assert!(precision_recall(a, far, 0).is_err());
    assert!(precision_recall(a, far, 300).is_err());
    assert!(kernel_distance(a, far).unwrap() > 1.0);
}

#[test]
fn inception_score_runs_from_one_to_the_number_of_classes() {
    let same = vec![0.5; 40];
    let flat = inception_score(Features::new(&same, 4).unwrap(), 2).unwrap();
    assert!(near(flat.mean, 1.0, 1.0) && near(flat.std, 0.0, 1.0));
    let sure: Vec<f32> = (0..64)
        .map(|i| if i % 4 == i / 4 % 4 { 500.0 } else { 0.0 })
        .collect();
    let best = inception_score(Features::new(&sure, 4).unwrap(), 2).unwrap();
    assert!(near(best.mean, 4.0, 1.0), "{best:?}");
    assert!(inception_score(Features::new(&sure, 4).unwrap(), 17).is_err());
}

#[test]
fn equal_images_are_at_the_best_value_and_small_ones_refused() {
    let (a, b) = common::images(1, 11, 12);
    let image = |p| Image::new(p, 12, 11, 3).unwrap();
    let (a, b) = (image(&a), image(&b));
    assert_eq!(psnr(a, a).unwrap(), f64::INFINITY);
    assert!(near(ssim(a, a).unwrap(), 1.0, 1.0));
    assert!(ssim(a, b).unwrap() < 1.0);
    let small = [0; 300];
    let small = Image::new(&small, 10, 10, 3).unwrap();
    assert!(matches!(
        ssim(small, small),
        Err(MetricsError::TooFew { .. })
    ));
    assert!(psnr(a, small).is_err());
    assert!(Image::new(&[0; 5], 2, 1, 3).is_err());
    assert!(Image::new(&[], usize::MAX, 2, 3).is_err());
}

#[test]
fn rows_of_features_differ_by_angle_and_length() {
    assert!(near(
        cosine_distance(&[1.0, 0.0], &[0.0, 2.0]).unwrap(),
        1.0,
        1.0
    ));
    assert!(near(
        cosine_distance(&[1.0, 1.0], &[-2.0, -2.0]).unwrap(),
        2.0,
        1.0
    ));
    assert!(near(
        cosine_distance(&[1.0, 3.0], &[2.0, 6.0]).unwrap(),
        0.0,
        1.0
    ));
    assert!(near(
        relative_rms_error(&[3.0, 5.0], &[3.0, 4.0]).unwrap(),
        0.2,
        1.0
    ));
    assert!(cosine_distance(&[0.0], &[1.0]).is_err());
    assert!(relative_rms_error(&[1.0], &[0.0]).is_err());
    assert!(relative_rms_error(&[1.0], &[1.0, 2.0]).is_err());
    assert!(cosine_distance(&[f32::NAN], &[1.0]).is_err());
}

#[test]
fn bootstrap_covers_the_mean_and_is_seeded() {
    let values: Vec<f64> = (0..400).map(f64::from).collect();
    let run = |s, seed| bootstrap(&values, s, 2000, 0.95, seed).unwrap();
    let mean = run(Statistic::Mean, 1);
    assert_eq!(mean, run(Statistic::Mean, 1));
    assert_ne!(mean, run(Statistic::Mean, 2));
    // standard error of the mean: sqrt((400^2 - 1) / 12 / 400) = 5.7735
    assert!((mean.low - (199.5 - 1.96 * 5.7735)).abs() < 1.0, "{mean:?}");
    assert!(
        (mean.high - (199.5 + 1.96 * 5.7735)).abs() < 1.0,
        "{mean:?}"
    );
    // that of the median of uniform values: range / (2 sqrt(n)) = 10
    let median = run(Statistic::Median, 1);
    assert!((median.low - (199.5 - 19.6)).abs() < 3.0, "{median:?}");
    assert!((median.high - (199.5 + 19.6)).abs() < 3.0, "{median:?}");
    assert!(bootstrap(&[], Statistic::Mean, 10, 0.9, 0).is_err());
    assert!(bootstrap(&[f64::NAN], Statistic::Mean, 10, 0.9, 0).is_err());
    assert!(bootstrap(&[1.0], Statistic::Mean, 10, 1.0, 0).is_err());
}

#[test]
fn medians_order_infinite_values_last() {
    let inf = f64::INFINITY;
    assert_eq!(Statistic::Median.of(&mut [inf, 1.0, 2.0]), Some(2.0));
    assert_eq!(Statistic::Median.of(&mut [inf, inf, 2.0, inf]), Some(inf));
    assert_eq!(Statistic::Median.of(&mut [3.0, 1.0, inf, 2.0]), Some(2.5));
    assert_eq!(Statistic::Median.of(&mut []), None);
    let i = bootstrap(&[inf; 5], Statistic::Median, 20, 0.9, 0).unwrap();
    assert_eq!((i.low, i.high), (inf, inf));
}

/// The jackknife of a mean over single rows is the textbook standard error.
#[test]
fn jackknife_of_a_mean_is_its_standard_error() {
    let values = [2.0, 4.0, 4.0, 5.0, 7.0, 9.0];
    let total: f64 = values.iter().sum();
    let jackknife = Jackknife {
        estimate: total / 6.0,
        without: values.iter().map(|v| (total - v) / 5.0).collect(),
    };
    let mean = total / 6.0;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 5.0;
    let error = jackknife.standard_error().unwrap();
    assert!(near(error, (variance / 6.0).sqrt(), 1.0));
    let both = jackknife.two_sided(0.95).unwrap();
    assert!(near(both.high, mean + 1.959_963_984_540_054 * error, 1.0));
    assert!(near(both.low, mean - 1.959_963_984_540_054 * error, 1.0));
    let most = jackknife.at_most(0.95).unwrap();
    assert!(near(most.high, mean + 1.644_853_626_951_472_2 * error, 1.0));
    let least = jackknife.at_least(0.95).unwrap();
    assert!(near(least.low, mean - 1.644_853_626_951_472_2 * error, 1.0));
    let none = jackknife.difference(&jackknife).unwrap();
    assert_eq!((none.estimate, none.standard_error().unwrap()), (0.0, 0.0));
}

#[test]
fn frechet_jackknife_leaves_one_block_out_and_pairs_cancel() {
    let reference = common::features(1, 200, 8, 0);
    let reference = Reference::new(&moments(&reference, 8)).unwrap();
    let rows = common::features(2, 400, 8, 1);
    let blocks = |rows: &[f32]| -> Vec<_> { rows.chunks(20 * 8).map(|b| moments(b, 8)).collect() };
    let a = frechet_jackknife(&reference, &blocks(&rows)).unwrap();
    assert_eq!(a.without.len(), 20);
    let rest: Vec<f32> = [&rows[..3 * 160], &rows[4 * 160..]].concat();
    let want = reference.distance(&moments(&rest, 8)).unwrap().distance;
    assert!(near(a.without[3], want, 1.0), "{} {want}", a.without[3]);
    // a slightly wrong copy of the same rows: the difference is far more certain than either figure
    let noisy: Vec<f32> = rows.iter().map(|v| v * 1.01).collect();
    let b = frechet_jackknife(&reference, &blocks(&noisy)).unwrap();
    let paired = b.difference(&a).unwrap().standard_error().unwrap();
    assert!(paired < 0.2 * a.standard_error().unwrap(), "{paired}");
    assert!(frechet_jackknife(&reference, &blocks(&rows)[..1]).is_err());
    assert!(frechet_jackknife(&reference, &blocks(&rows[..390 * 8])).is_err());
}
