//! Stdout, and what a terminal and its user want of what is written there. It must not know what is printed.

use std::{
    io::{self, IsTerminal as _, Write as _},
    ops::ControlFlow,
};

use anyhow::Context as _;

use crate::render::Style;

/// Writes to stdout at once; `Break` where the reader has gone, which is no error.
///
/// # Errors
/// It cannot be written for another reason.
pub fn print(text: &str) -> anyhow::Result<ControlFlow<()>> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(error).context("cannot write to stdout"),
    }
}

/// For stdout, as [`style_on`].
pub fn style() -> Style {
    style_on(io::stdout().is_terminal())
}

/// Colour on a terminal, unless NO_COLOR is set to anything (no-color.org).
pub fn style_on(terminal: bool) -> Style {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if terminal && !refused { Style::Coloured } else { Style::Plain }
}

/// Columns of the terminal; `None` where stdout is none: nothing is cut then.
pub fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}
