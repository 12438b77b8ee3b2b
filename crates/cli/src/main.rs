//! The `diffuser` command: arguments in, library calls, files and one-line errors out.

mod args;
mod commands;
mod ui;

use std::process::ExitCode;

use args::Command;

/// Exit code of a failure.
const FAILURE: u8 = 1;

/// Exit code of a command line that is wrong or does not fit the model.
const USAGE: u8 = 2;

/// Exit code after an interrupt, as shells have it: 128 and the signal's number.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let arguments = match args::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(line) => return fail(&line, USAGE),
    };
    let handler = ctrlc::set_handler(|| {
        ui::say_at_interrupt();
        // Held to the end of the process, so that no output is finished any more.
        let _unfinished = diffuser::output::remove_unfinished();
        std::process::exit(INTERRUPTED);
    });
    if let Err(error) = handler {
        return fail(&format!("cannot catch interrupts: {error}"), FAILURE);
    }
    let ui = ui::Ui::new(arguments.quiet);
    let result = match arguments.command {
        Command::Generate(a) => commands::generate::run(&a, &ui),
        Command::Quantize(a) => commands::quantize::run(&a, &ui),
        Command::Info(a) => commands::info::run(&a),
        Command::Compare(a) => commands::compare::run(&a, &ui),
        Command::Evaluate(a) => commands::evaluate::run(&a, &ui),
        Command::Predict(a) => commands::predict::run(&a, &ui),
        Command::Compile(a) => commands::compile::run(&a, &ui),
        Command::Completions(a) => commands::completions::run(&a),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ diffuser::Error::Setting(_)) => fail(&error.to_string(), USAGE),
        Err(error) => fail(&error.to_string(), FAILURE),
    }
}

fn fail(line: &str, code: u8) -> ExitCode {
    ui::complain(&format!("diffuser: {line}"));
    ExitCode::from(code)
}
