//! `diffuser completions`.

use clap::CommandFactory;
use diffuser::Result;

use crate::args::{Cli, CompletionsArgs};
use crate::ui;

/// Prints a completion script.
pub fn run(arguments: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "diffuser",
        &mut script,
    );
    ui::print(&String::from_utf8_lossy(&script))
}
