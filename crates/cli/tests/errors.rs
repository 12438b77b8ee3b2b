//! Bad input: one line, the right exit code, nothing written.

mod common;

use std::fmt::Write;
use std::fs;

use common::Sandbox;

/// Everything that is wrong, and what is said about it.
#[test]
fn every_error_is_one_line_and_leaves_nothing() {
    let sandbox = Sandbox::with_model();
    let path = |name: &str| sandbox.path(name);
    let model = fs::read(path("model.safetensors")).unwrap();
    fs::write(path("cut.safetensors"), &model[..model.len() / 2]).unwrap();
    fs::write(path("empty"), "").unwrap();
    fs::write(path("text"), "not a model\nat all").unwrap();
    fs::write(
        path("hostile"),
        [&u64::MAX.to_le_bytes()[..], b"{}"].concat(),
    )
    .unwrap();
    fs::create_dir(path("folder")).unwrap();
    sandbox.tensor(
        "good.safetensors",
        "latents",
        &[2, 3, 8, 8],
        &common::normal(0, 384),
    );
    sandbox.tensor(
        "wide.safetensors",
        "latents",
        &[2, 3, 8, 4],
        &common::normal(0, 192),
    );
    let mut bad = common::normal(0, 192);
    bad[7] = f32::NAN;
    sandbox.tensor("nan.safetensors", "latents", &[1, 3, 8, 8], &bad);
    bad[7] = 1e9;
    sandbox.tensor("large.safetensors", "latents", &[1, 3, 8, 8], &bad);
    common::write_pipeline(&path("plain"), None);
    sandbox.ok("quantize plain -o plain.safetensors --steps 2 --images 1");
    common::write_pipeline(&path("pickle"), None);
    let weights = "pickle/unet/diffusion_pytorch_model";
    fs::rename(
        path(&format!("{weights}.safetensors")),
        path(&format!("{weights}.bin")),
    )
    .unwrap();
    common::write_pipeline(&path("cut"), None);
    let weights = path("cut/unet/diffusion_pytorch_model.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() - 1]).unwrap();
    sandbox.add_extractor();
    fs::create_dir(path("kept")).unwrap();
    sandbox.ok(
        "evaluate model.safetensors --reference images.parquet --extractor tiny.onnx -n 4 --journal kept \
         --save-statistics tiny.safetensors",
    );
    let before = sandbox.names();

    let e = "evaluate model.safetensors --extractor tiny.onnx --journal kept";
    let m = "--model model.safetensors";
    let q = "--sample good.safetensors -o out";
    let cases = [
        "generate --steps 0".to_owned(),
        "generate --count 0".into(),
        "generate --stps 3".into(),
        "generate --kernel gpu".into(),
        "generate --scheduler euler".into(),
        "nonsense".into(),
        "quantize pipeline".into(),
        "predict".into(),
        "generate --model missing.safetensors".into(),
        "generate --model empty".into(),
        "generate --model text".into(),
        "generate --model hostile".into(),
        "generate --model cut.safetensors".into(),
        "generate --model good.safetensors".into(),
        "generate --model folder".into(),
        "generate --float".into(),
        format!("generate {m} --float"),
        format!("generate {m} -o missing/out.png"),
        format!("generate {m} -o folder"),
        format!("generate {m} --each missing/each"),
        format!("generate {m} --each text"),
        format!("generate {m} --animate out.mp4"),
        format!("generate {m} --animate missing/out.gif"),
        format!("generate {m} -o x.png --animate x.png"),
        format!("generate {m} --count 100000 --steps 100 --scale 64"),
        format!("generate {m} --class bird"),
        format!("generate {m} --class do"),
        format!("generate {m} --class 3"),
        format!("generate {m} --class cat,"),
        "generate --model plain.safetensors --class 0".into(),
        format!("generate {m} --steps 101"),
        format!("generate {m} --eta 1.5"),
        format!("generate {m} --eta -1"),
        format!("generate {m} --eta nan"),
        format!("generate {m} --scheduler ddpm --eta 0.5"),
        format!("generate {m} --first 18446744073709551615"),
        format!("generate {m} --latents missing.safetensors"),
        format!("generate {m} --latents text"),
        format!("generate {m} --latents wide.safetensors"),
        format!("generate {m} --latents nan.safetensors"),
        format!("generate {m} --latents large.safetensors"),
        format!("generate {m} --latents good.safetensors --count 3"),
        format!("generate {m} --latents good.safetensors --first 2"),
        format!("predict {m} --timestep 0 {q}"),
        format!("predict {m} --timestep 100 --class cat {q}"),
        format!("predict {m} --timestep 0 --class cat --sample wide.safetensors -o out"),
        format!("predict {m} --timestep 0 --class cat --sample good.safetensors -o missing/out"),
        format!("predict {m} --timestep 0 --class cat --float {q}"),
        format!("predict --model plain.safetensors --timestep 0 --class 0 {q}"),
        "quantize missing -o out".into(),
        "quantize folder -o out".into(),
        "quantize model.safetensors -o out".into(),
        "quantize pickle -o out".into(),
        "quantize cut -o out".into(),
        "quantize pipeline -o missing/out".into(),
        "quantize pipeline -o out --method best".into(),
        "quantize pipeline -o out --method ptq4dm --rows 2".into(),
        "quantize pipeline -o out --skips apart".into(),
        "compare pipeline plain.safetensors".into(),
        "compare model.safetensors".into(),
        "compare pipeline text".into(),
        "generate --model /dev/null".into(),
        "compare pipeline model.safetensors --plot missing/x.svg".into(),
        "evaluate model.safetensors".into(),
        "evaluate model.safetensors --against missing".into(),
        "evaluate model.safetensors --against model.safetensors".into(),
        "evaluate plain.safetensors --against pipeline".into(),
        "evaluate missing --against pipeline".into(),
        "evaluate model.safetensors --against pipeline --images 0".into(),
        "evaluate model.safetensors --against pipeline --json missing/x.json".into(),
        "evaluate model.safetensors --against pipeline --json x --plot x".into(),
        "evaluate model.safetensors --against pipeline --plot x.svg --step-images 0".into(),
        "evaluate model.safetensors --against pipeline --class bird".into(),
        "evaluate model.safetensors --against pipeline --steps 101".into(),
        "evaluate model.safetensors --against pipeline --journal text".into(),
        "evaluate model.safetensors --against pipeline --first 18446744073709551615 -n 2".into(),
        "evaluate model.safetensors --against pipeline --versus missing".into(),
        "evaluate model.safetensors --against pipeline --versus plain.safetensors".into(),
        "evaluate model.safetensors --reference images.parquet".into(),
        "evaluate model.safetensors --reference images.parquet --extractor missing".into(),
        "evaluate model.safetensors --reference images.parquet --extractor text".into(),
        format!("{e} --reference images.parquet --preprocessing resnet"),
        format!("{e} --reference images.parquet --preprocessing text"),
        format!("{e} --reference images.parquet -n 3"),
        format!("{e} --reference images.parquet --reference-filter skin"),
        format!("{e} --reference images.parquet --reference-filter color=red"),
        format!("{e} --reference images.parquet --reference-size 5"),
        format!("{e} --reference images.parquet --save-statistics missing/x"),
        format!("{e} --reference images.parquet --control-seed 1"),
        format!("{e} --reference images.parquet --plot x.svg"),
        format!("{e} --reference missing"),
        format!("{e} --reference folder"),
        format!("{e} --reference text"),
        format!("{e} --reference model.safetensors"),
        format!("{e} --reference tiny.safetensors --preprocessing efficientnet-lite0"),
        format!("{e} --reference tiny.safetensors --reference-filter label=1"),
        format!("{e} --reference tiny.safetensors --reference-test tiny.safetensors"),
        format!("{e} --reference-test images.parquet"),
        format!("{e} --against pipeline --distance-plot x.svg"),
        "info missing".into(),
        "info text".into(),
    ];
    let mut report = String::new();
    for case in cases {
        let ran = sandbox.run(&case);
        assert_eq!(ran.stdout, "", "{case}");
        assert_eq!(ran.stderr.lines().count(), 1, "{case}: {}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{case}: {}", ran.stderr);
        assert_eq!(sandbox.names(), before, "{case} left files");
        let code = ran.code.unwrap();
        assert!(code == 1 || code == 2, "{case}: {code}");
        writeln!(report, "$ diffuser {case}\n{code}: {}", ran.stderr).unwrap();
    }
    insta::assert_snapshot!(report);
}

#[test]
fn a_kernel_from_the_environment_is_checked_too() {
    let sandbox = Sandbox::new();
    let ran = sandbox
        .command("generate")
        .env("DIFFUSER_KERNEL", "gpu")
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(2));
    let stderr = String::from_utf8(ran.stderr).unwrap();
    assert!(
        stderr.starts_with("diffuser: invalid value 'gpu' for '--kernel <NAME>'"),
        "{stderr}"
    );
    assert!(sandbox.names().is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn full_devices_are_told_before_the_work() {
    let sandbox = Sandbox::with_model();
    let line = "diffuser: cannot write /dev/full: No space left on device\n";
    for case in [
        // So much work that only a check before it ends soon.
        "generate --model model.safetensors --count 100000 --steps 100 -o /dev/full",
        "quantize pipeline --images 10000 -o /dev/full",
        "compare pipeline model.safetensors --count 100000 -o /dev/full",
        "predict --model model.safetensors --sample x --timestep 1 -o /dev/full",
    ] {
        let ran = sandbox.run(case);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), line), "{case}");
    }
    let stdout = fs::File::create("/dev/full").unwrap();
    let status = sandbox
        .command("info model.safetensors")
        .stdout(stdout)
        .output()
        .unwrap();
    assert_eq!(status.status.code(), Some(1));
    let stderr = String::from_utf8(status.stderr).unwrap();
    assert_eq!(
        stderr,
        "diffuser: cannot write standard output: No space left on device\n"
    );
}

/// Nobody reads: neither a panic nor, on stdout, a failure.
#[cfg(target_os = "linux")]
#[test]
fn readers_that_go_away_do_no_harm() {
    use std::process::Stdio;
    let sandbox = Sandbox::with_model();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = sandbox.command("info model.safetensors --json");
    assert!(command.stdout(writer).status().unwrap().success());
    let full = || Stdio::from(fs::File::create("/dev/full").unwrap());
    let mut command = sandbox.command("info missing");
    assert_eq!(command.stderr(full()).status().unwrap().code(), Some(1));
    let mut command = sandbox.command("compare pipeline model.safetensors -o out.png --count 1");
    let status = command.stderr(full()).stdout(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn names_need_not_be_unicode() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::with_model();
    let name = |bytes: &[u8]| std::ffi::OsStr::from_bytes(bytes).to_owned();
    fs::rename(
        sandbox.path("pipeline"),
        sandbox.folder().join(name(b"p\xff")),
    )
    .unwrap();
    let run = |arguments: &str, last: &[u8]| {
        let mut command = sandbox.command(arguments);
        let done = command.arg(name(last)).output().unwrap();
        let stderr = String::from_utf8(done.stderr).unwrap();
        assert_eq!(
            (done.status.code(), stderr.as_str()),
            (Some(0), ""),
            "{arguments}"
        );
        serde_json::from_slice::<serde_json::Value>(&done.stdout).unwrap()
    };
    let model = "--model model.safetensors --count 1 --steps 1";
    let report = run(&format!("generate {model} --json -o"), b"x\xff.png");
    assert_eq!(report["outputs"][0], "x\u{fffd}.png");
    run(&format!("generate {model} --json --each"), b"e\xff");
    let report = run("info --json", b"p\xff");
    assert_eq!(report["model"], "p\u{fffd}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_no_part_of_a_file() {
    use std::process::{Command, Stdio};
    let sandbox = Sandbox::with_model();
    fs::write(sandbox.path("out.png"), "the old file").unwrap();
    let before = sandbox.names();
    let arguments = "generate --model model.safetensors --count 100000 --steps 100 -o out.png";
    let mut child = sandbox
        .command(arguments)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The temporary file appears when the work begins; the work itself takes minutes.
    while sandbox.names() == before {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(sandbox.names(), before);
    assert_eq!(
        fs::read_to_string(sandbox.path("out.png")).unwrap(),
        "the old file"
    );
}
