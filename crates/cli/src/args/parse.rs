//! From arguments to options, or to one line that says what is wrong.

use std::ffi::OsString;

use clap::Parser;

use super::Cli;

/// The command line, or an error whose message is one line; help and version end the process.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, String> {
    use clap::error::ErrorKind;
    Cli::try_parse_from(arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        _ => one_line(&error.render().to_string()),
    })
}

/// clap's message without the usage that follows it: what is wrong, and a tip if there is one.
fn one_line(message: &str) -> String {
    let mut paragraphs = message
        .split("\n\n")
        .map(|p| p.split_whitespace().collect::<Vec<_>>().join(" "));
    let first = paragraphs.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(&first).to_owned();
    match paragraphs.find_map(|p| p.strip_prefix("tip: ").map(str::to_owned)) {
        Some(tip) => format!("{first} ({tip})"),
        None => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_one_line() {
        let line = |args: &str| {
            let args = ["diffuser"].into_iter().chain(args.split_whitespace());
            parse(args.map(OsString::from)).unwrap_err()
        };
        for args in [
            "generate --steps 0",
            "generate --stps 3",
            "predict",
            "generate --kernel gpu",
            "nonsense",
            "generate --count 0",
            "generate --eta x",
            "quantize",
        ] {
            let line = line(args);
            assert!(!line.contains('\n') && !line.is_empty(), "{line}");
            assert!(!line.starts_with("error"), "{line}");
        }
    }
}
