//! What a form prints, on its way to the sink.
//!
//! Promises to hand on whole buffers: what is printed as it stands in the text is joined as long as it stands together
//! there, and what is small is collected first. No piece is longer than a step, and between two steps the sink is given
//! a pulse.

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
    since_pulse: usize,
    sink: &'s mut S,
}

impl<'t, 's, S: Sink> Output<'t, 's, S> {
    pub(super) fn new(text: &'t [u8], sink: &'s mut S) -> Self {
        Self { text, start: 0, end: 0, buffer: [0; BUFFERED], filled: 0, since_pulse: 0, sink }
    }

    /// Prints a stretch of the text as it stands.
    #[inline]
    pub(super) fn span(&mut self, start: usize, end: usize) -> Result<(), Malformed> {
        if start != self.end {
            self.settle()?;
            self.start = start;
        }
        self.end = end;
        Ok(())
    }

    /// Prints a few bytes of a form's own, fewer than the buffer holds.
    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.settle()?;
        self.collect(bytes)
    }

    pub(super) fn finish(mut self) -> Result<(), Malformed> {
        self.settle()?;
        self.drain()
    }

    #[inline]
    fn settle(&mut self) -> Result<(), Malformed> {
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
            return Ok(());
        }
        self.start = self.end;
        if span.len() < BUFFERED {
            return self.collect(span);
        }
        self.pass_on(span)
    }

    fn pass_on(&mut self, span: &[u8]) -> Result<(), Malformed> {
        self.drain()?;
        for piece in span.chunks(STEP) {
            self.pass(piece.len());
            self.sink.piece(piece)?;
        }
        Ok(())
    }

    #[inline]
    fn collect(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        if self.filled + bytes.len() > BUFFERED {
            self.drain()?;
        }
        if let Some(place) = self.buffer.get_mut(self.filled..self.filled + bytes.len()) {
            place.copy_from_slice(bytes);
            self.filled += bytes.len();
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), Malformed> {
        let filled = std::mem::take(&mut self.filled);
        self.pass(filled);
        self.sink.piece(self.buffer.get(..filled).unwrap_or(b""))
    }

    fn pass(&mut self, bytes: usize) {
        self.since_pulse += bytes;
        if self.since_pulse >= STEP {
            self.since_pulse = 0;
            self.sink.pulse();
        }
    }
}
