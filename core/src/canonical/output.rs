//! What a form prints, on its way to the sink.
//!
//! Promises to hand on whole buffers: what is printed as it stands in the text is joined as long as it stands together
//! there, and what is small is collected first. No piece is longer than a step, and between two steps the sink is given
//! a pulse. After an error of the sink's it is given nothing any more; whoever prints asks [`Output::check`] now and then.

use super::{Malformed, STEP, Sink};

/// A few blocks of a hash; a document of the usual size is one piece.
const BUFFERED: usize = 2048;

/// As many bytes as are copied at once.
const SHORT: usize = 32;

pub(super) struct Output<'t, 's, S> {
    text: &'t [u8],
    /// A stretch of the text that is printed next.
    start: usize,
    end: usize,
    /// What is printed before it.
    buffer: [u8; BUFFERED],
    filled: usize,
    tap: Tap<'s, S>,
}

struct Tap<'s, S> {
    sink: &'s mut S,
    since_pulse: usize,
    outcome: Result<(), Malformed>,
}

impl<S: Sink> Tap<'_, S> {
    fn give(&mut self, piece: &[u8]) {
        self.since_pulse += piece.len();
        if self.since_pulse >= STEP {
            self.since_pulse = 0;
            self.sink.pulse();
        }
        if self.outcome.is_ok() {
            self.outcome = self.sink.piece(piece);
        }
    }
}

impl<'t, 's, S: Sink> Output<'t, 's, S> {
    pub(super) fn new(text: &'t [u8], sink: &'s mut S) -> Self {
        let tap = Tap { sink, since_pulse: 0, outcome: Ok(()) };
        Self { text, start: 0, end: 0, buffer: [0; BUFFERED], filled: 0, tap }
    }

    /// Prints a stretch of the text as it stands.
    #[inline]
    pub(super) fn span(&mut self, start: usize, end: usize) {
        if start != self.end || end - self.start > STEP {
            self.settle();
            self.start = start;
        }
        self.end = end;
    }

    /// Prints a few bytes of a form's own, fewer than the buffer holds.
    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.settle();
        self.collect(bytes);
    }

    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.settle();
        if self.filled == BUFFERED {
            self.drain();
        }
        if let Some(place) = self.buffer.get_mut(self.filled) {
            *place = byte;
            self.filled += 1;
        }
    }

    /// What the sink has said so far.
    pub(super) fn check(&self) -> Result<(), Malformed> {
        self.tap.outcome
    }

    pub(super) fn finish(mut self) -> Result<(), Malformed> {
        self.settle();
        self.drain();
        self.tap.outcome
    }

    #[inline]
    fn settle(&mut self) {
        let text = self.text;
        let span = text.get(self.start..self.end).unwrap_or(b"");
        // Most stretches are a word or two. Copying a fixed number of bytes is a few instructions, and what is too much is
        // written over by the next.
        let here = (text.get(self.start..), self.buffer.get_mut(self.filled..));
        if let (Some(from), Some(to)) = here
            && let (Some(from), Some(to)) = (from.first_chunk::<SHORT>(), to.first_chunk_mut::<SHORT>())
            && span.len() <= SHORT
        {
            *to = *from;
            self.filled += span.len();
            self.start = self.end;
            return;
        }
        self.start = self.end;
        if span.len() < BUFFERED {
            self.collect(span);
        } else {
            self.drain();
            span.chunks(STEP).for_each(|piece| self.tap.give(piece));
        }
    }

    #[inline]
    fn collect(&mut self, bytes: &[u8]) {
        if self.filled + bytes.len() > BUFFERED {
            self.drain();
        }
        if let Some(place) = self.buffer.get_mut(self.filled..self.filled + bytes.len()) {
            place.copy_from_slice(bytes);
            self.filled += bytes.len();
        }
    }

    fn drain(&mut self) {
        self.tap.give(self.buffer.get(..self.filled).unwrap_or(b""));
        self.filled = 0;
    }
}
