//! The terminal while the demo runs: a line per event, and one line of progress that gives way to the next event.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between two drawings of the progress line: an eye sees no more; a log file wants few.
const REDRAW: Duration = Duration::from_millis(100);
const RELOG: Duration = Duration::from_secs(3);

/// Meaning, not colour: what a text is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    Heading,
    Quiet,
}

/// Whether colours are shown: on a terminal, unless the user said no (see no-color.org).
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    pub fn of_stdout() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Paint(io::stdout().is_terminal() && !refused)
    }

    #[cfg(test)]
    pub fn none() -> Self {
        Paint(false)
    }

    pub fn tint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Heading => "1",
            Tone::Quiet => "2",
        };
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Where the demo speaks. A closed pipe (`make demo | head`) silences it and stops nothing.
pub struct Screen {
    paint: Paint,
    terminal: bool,
    started: Instant,
    drawn: Option<Instant>,
    dirty: bool,
}

impl Screen {
    pub fn new() -> Self {
        Screen {
            paint: Paint::of_stdout(),
            terminal: io::stdout().is_terminal(),
            started: Instant::now(),
            drawn: None,
            dirty: false,
        }
    }

    pub fn paint(&self) -> Paint {
        self.paint
    }

    /// Something happened.
    pub fn event(&mut self, text: &str) {
        let time = format!("{:7.2} s", self.started.elapsed().as_secs_f64());
        self.line(&format!("{}  {text}", self.paint.tint(Tone::Quiet, &time)));
    }

    pub fn event_in(&mut self, tone: Tone, text: &str) {
        self.event(&self.paint.tint(tone, text));
    }

    /// How far it is; drawn only when it is time again.
    pub fn progress(&mut self, text: impl FnOnce() -> String) {
        let pause = if self.terminal { REDRAW } else { RELOG };
        if self.drawn.get_or_insert_with(Instant::now).elapsed() < pause {
            return;
        }
        self.drawn = Some(Instant::now());
        if self.terminal {
            self.write(&format!("\r\x1b[2K           {}", text()));
            self.dirty = true;
        } else {
            self.event(&text());
        }
    }

    /// A plain line.
    pub fn line(&mut self, text: &str) {
        let clear = if std::mem::take(&mut self.dirty) { "\r\x1b[2K" } else { "" };
        self.write(&format!("{clear}{text}\n"));
    }

    fn write(&self, text: &str) {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
    }
}

/// 19366 as 19,366.
pub fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screen_groups_digits_by_three() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(19_366), "19,366");
        assert_eq!(thousands(-1_234_567), "-1,234,567");
    }

    #[test]
    fn screen_plain_output_has_no_escapes() {
        assert_eq!(Paint::none().tint(Tone::Bad, "x"), "x");
        assert_eq!(Paint(true).tint(Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
    }
}
