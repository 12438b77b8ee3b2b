//! Progress and notes on stderr; silent unless a person is watching.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diffuser::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What an interrupt prints before the process ends.
static AT_INTERRUPT: Mutex<Option<String>> = Mutex::new(None);

fn at_interrupt() -> MutexGuard<'static, Option<String>> {
    AT_INTERRUPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints the line of [`Ui::at_interrupt`], if there is one. For the handler of interrupts.
pub fn say_at_interrupt() {
    if let Some(line) = at_interrupt().take() {
        complain(&line);
    }
}

/// What the user sees while work is going on.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    visible: bool,
    quiet: bool,
}

impl Ui {
    /// Shows anything only on a terminal, and not if told to be quiet.
    pub fn new(quiet: bool) -> Self {
        Self {
            visible: !quiet && std::io::stderr().is_terminal(),
            quiet,
        }
    }

    /// A bar for work that is counted in evaluations of the network.
    pub fn bar(self, title: &'static str) -> Bar {
        let target = match self.visible {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let style = "{msg:>12} [{bar:32}] {pos}/{len}  {eta} left";
        let style = ProgressStyle::with_template(style)
            .expect("the template is right")
            .progress_chars("=> ");
        // Nothing is drawn before the first `set`: until then there is no length.
        let bar = ProgressBar::with_draw_target(None, target);
        Bar(bar.with_style(style).with_message(title))
    }

    /// A line that matters to scripts as well; only `--quiet` silences it.
    pub fn warn(self, line: &str) {
        if !self.quiet {
            complain(&format!("diffuser: note: {line}"));
        }
    }

    /// From now on an interrupt says `line`, unless told to be quiet.
    pub fn at_interrupt(self, line: &str) {
        *at_interrupt() = (!self.quiet).then(|| format!("diffuser: {line}"));
    }

    /// A line for the user, when there is one to read it.
    pub fn note(self, line: &str) {
        if self.visible {
            complain(line);
        }
    }
}

/// A progress bar; it disappears with its last user.
pub struct Bar(ProgressBar);

impl Bar {
    /// Starts anew with other work: the time left is that of this alone.
    pub fn title(&self, title: &'static str) {
        if self.0.message() != title {
            self.0.set_message(title);
            self.0.reset();
        }
    }

    /// Shows that `done` of `total` is done.
    pub fn set(&self, done: u64, total: u64) {
        if self.0.length() != Some(total) {
            self.0.set_length(total);
        }
        self.0.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Prints a line on stderr. Where that cannot be written to (`eprintln!` would panic), nobody is left to tell.
pub fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints on stdout. A reader that has gone away (`diffuser info | head -1`) is no error.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("write", Path::new("standard output"))(e))
        }
        _ => Ok(()),
    }
}

/// Prints JSON on stdout, readable.
pub fn print_json(value: &serde_json::Value) -> Result<()> {
    print(&format!("{value:#}\n"))
}

/// A time for people.
pub fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 10.0 => format!("{s:.2} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}
