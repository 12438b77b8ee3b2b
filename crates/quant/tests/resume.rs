//! A saved calibration goes on to the same result, and no other file is taken for one.

mod common;

use std::fs;

use diffuser_quant::{CalibrationSettings, Calibrator, Rounding, calibrate, resume};

fn calibrator(settings: CalibrationSettings) -> Calibrator {
    Calibrator::new(&common::pipeline(), &common::scheduler(), settings).expect("usable")
}

#[test]
fn the_result_does_not_depend_on_interruptions() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state");
    for rounding in Rounding::ALL {
        let settings = CalibrationSettings {
            rounding,
            ..common::settings()
        };
        assert!(!calibrator(settings).resume(&path).expect("no file"));
        let mut evaluations = 0;
        for done in 0..=5 {
            let mut next = calibrator(settings);
            assert_eq!(next.resume(&path).expect("its own file"), done > 0);
            assert_eq!(next.done(), (done, 5));
            let counted = std::sync::atomic::AtomicU64::new(0);
            let progress = |n, _| {
                counted.fetch_max(n, std::sync::atomic::Ordering::Relaxed);
            };
            assert_eq!(next.step(&progress).expect("goes on"), done < 5);
            next.save(&path).expect("saved");
            evaluations = evaluations.max(counted.into_inner());
        }
        assert_eq!(evaluations, 5 * u64::from(settings.images));
        let mut last = calibrator(settings);
        last.resume(&path).expect("its own file");
        let whole = calibrate(
            &common::pipeline(),
            &common::scheduler(),
            settings,
            &|_, _| {},
        );
        assert_eq!(last.finish(), whole.expect("calibrates"));
        resume::discard(&path).expect("removed");
        let left = fs::read_dir(folder.path()).expect("readable").count();
        assert_eq!(left, 0);
    }
}

#[test]
fn other_and_damaged_files_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state");
    let settings = common::settings();
    let mut begun = calibrator(settings);
    begun.step(&|_, _| {}).expect("goes on");
    begun.save(&path).expect("saved");
    let refused = |settings| {
        let error = calibrator(settings).resume(&path).expect_err("not its own");
        let line = error.to_string();
        assert!(line.contains("state: "), "{line}");
        line
    };
    let seed = CalibrationSettings {
        seed: 2,
        ..settings
    };
    let line = refused(seed);
    assert!(line.contains("seed 1") && line.contains("seed 2"), "{line}");
    assert_eq!(line.lines().count(), 1);
    let bytes = fs::read(&path).expect("readable");
    for cut in [0, 7, 100, bytes.len() - 1] {
        fs::write(&path, &bytes[..cut]).expect("written");
        assert!(refused(settings).contains("not a whole calibration"));
    }
    // the same header, but a row that has another number of values than it says
    let mut wrong = bytes.clone();
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let json: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).expect("a header");
    let offset = json["row.0.lengths"]["data_offsets"][0].as_u64();
    let at = 8 + header + offset.expect("an array of lengths") as usize;
    wrong[at + 6] = 1;
    fs::write(&path, wrong).expect("written");
    assert!(refused(settings).contains("row.0.bins"));
    // a failed save leaves an older file as it was
    fs::write(&path, &bytes).expect("written");
    fs::create_dir(folder.path().join("state.partial")).expect("made");
    begun.save(&path).expect_err("its place is taken");
    assert_eq!(fs::read(&path).expect("readable"), bytes);
}
