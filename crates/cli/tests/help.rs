//! What the command says of itself.

mod common;

use common::Sandbox;

#[test]
fn help_texts() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!("help", sandbox.ok("--help"));
    for command in [
        "generate",
        "quantize",
        "info",
        "compare",
        "evaluate",
        "predict",
        "compile",
        "completions",
    ] {
        let help = sandbox.ok(&format!("{command} --help"));
        insta::assert_snapshot!(format!("help_{command}"), help);
    }
    assert_eq!(sandbox.ok("quantise --help"), sandbox.ok("quantize --help"));
}

#[test]
fn version() {
    let expected = format!("diffuser {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(Sandbox::new().ok("--version"), expected);
}

#[test]
fn no_command_shows_help_and_fails() {
    let ran = Sandbox::new().run("");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("Examples:"));
}

#[test]
fn completions_for_every_shell() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = sandbox.ok(&format!("completions {shell}"));
        assert!(script.contains("timestep-spacing"), "{shell}");
    }
}
