//! A JSON text with an index of the objects whose members have to change places.
//!
//! Promises: [`Document::read`] validates the whole text in one pass; [`Document::write`] walks it again in the order a form
//! asks for. An object whose members stand in strictly ascending order needs no index, nor do arrays and scalars: the
//! second walk reads them where they stand. Both walks keep their own stack, so depth costs memory and never the
//! program's stack. Does not: build values or copy any part of the text.
//!
//! ```text
//!   text      {"b":[{"x":1}],"a":{"d":1,"c":2}}
//!   objects   #0 at 0: members 2..4      #1 at 19: members 0..2
//!   members   0: 27, c    1: 21, d    2: 16, a    3: 2, b
//! ```
//!
//! A member is where its key begins; its end, the colon and the value are found again when it is written. Members of an
//! object stand together, in the form's order and without those that a later one overrides, once the object closes.
//! Objects stand in the order of the text. The second walk meets them in that order but for its jumps, so the object at a
//! brace is the next one of the index, or none; after a jump it is searched.
//!
//! Memory: 12 bytes for an object of the index, 4 for its member; 4 for a member of an object that is still open; 16 for
//! a level of nesting.

use std::collections::TryReserveError;

use super::output::Output;
use super::scan::{Scanner, code_point};
use super::{Form, Limits, Malformed, STEP, Sink, key};

pub(super) struct Document<'a> {
    text: &'a [u8],
    objects: Vec<Object>,
    members: Vec<u32>,
    depth: usize,
}

/// Offsets fit 32 bits because [`Document::read`] refuses longer texts: half the index of a machine word.
struct Object {
    /// Its opening brace.
    at: u32,
    first: u32,
    end: u32,
}

/// What is open while reading.
#[derive(Clone, Copy)]
enum Open {
    Array,
    Object {
        at: u32,
        /// Where its members begin among those of open objects.
        first: u32,
        /// The key before; 0 when there is none, for no key begins there.
        last_key: u32,
        /// Strictly ascending so far.
        is_ascending: bool,
    },
}

/// What is open while writing.
enum Writing {
    Array,
    /// An object as it stands.
    Object,
    /// An object whose members change places.
    Indexed {
        next: u32,
        end: u32,
        /// Where the walk has got to in the text: once all are written, the end of the last member there.
        after: u32,
        is_first: bool,
    },
}

impl<'a> Document<'a> {
    pub(super) fn read<F: Form>(
        text: &'a str,
        form: &F,
        limits: &Limits,
        sink: &mut impl Sink,
    ) -> Result<Self, Malformed> {
        let limit = limits.bytes.min(u32::MAX as usize);
        if text.len() > limit {
            return Err(Malformed::TooLarge { bytes: text.len(), limit });
        }
        let text = text.as_bytes();
        let mut document = Self { text, objects: Vec::new(), members: Vec::new(), depth: 0 };
        let mut scan = Scanner::new(text);
        let mut open: Vec<Open> = Vec::new();
        let mut pending: Vec<u32> = Vec::new();
        let mut next_pulse = STEP;

        loop {
            if scan.at >= next_pulse {
                next_pulse = scan.at + STEP;
                sink.pulse();
            }
            scan.skip_blank();
            match scan.peek() {
                b'{' | b'[' if open.len() >= limits.depth => {
                    return Err(Malformed::TooDeep { offset: scan.at, limit: limits.depth });
                }
                b'{' => {
                    let (at, first) = (offset(scan.at), offset(pending.len()));
                    push(&mut open, Open::Object { at, first, last_key: 0, is_ascending: true })?;
                    document.depth = document.depth.max(open.len());
                    scan.bump();
                    scan.skip_blank();
                    if scan.peek() != b'}' {
                        member::<F>(&mut scan, open.last_mut(), &mut pending)?;
                        continue;
                    }
                }
                b'[' => {
                    push(&mut open, Open::Array)?;
                    document.depth = document.depth.max(open.len());
                    scan.bump();
                    scan.skip_blank();
                    if scan.peek() != b']' {
                        continue;
                    }
                }
                b'"' => scan.string(!F::IS_STRICT)?,
                b'-' | b'0'..=b'9' => form.check(scan.number()?)?,
                _ => scan.literal()?,
            }
            // A value is complete, or a container has just opened and closes at once.
            loop {
                scan.skip_blank();
                match (open.last_mut(), scan.peek()) {
                    (None, _) if scan.is_at_end() => {
                        document.objects.sort_unstable_by_key(|object| object.at);
                        return Ok(document);
                    }
                    (None, _) => return Err(scan.syntax("expected the end of the text")),
                    (Some(Open::Array), b',') => {
                        scan.bump();
                        break;
                    }
                    (Some(Open::Array), b']') => {
                        scan.bump();
                        open.pop();
                    }
                    (Some(Open::Array), _) => return Err(scan.syntax("expected ',' or ']'")),
                    (last @ Some(Open::Object { .. }), b',') => {
                        scan.bump();
                        scan.skip_blank();
                        member::<F>(&mut scan, last, &mut pending)?;
                        break;
                    }
                    (Some(&mut Open::Object { at, first, is_ascending, .. }), b'}') => {
                        scan.bump();
                        open.pop();
                        if is_ascending {
                            pending.truncate(first as usize);
                        } else {
                            document.close::<F>(at, &mut pending, first as usize, sink)?;
                        }
                    }
                    (Some(Open::Object { .. }), _) => return Err(scan.syntax("expected ',' or '}'")),
                }
            }
        }
    }

    /// Takes the members of an object into the index: all that is pending from `first` on.
    fn close<F: Form>(
        &mut self,
        at: u32,
        pending: &mut Vec<u32>,
        first: usize,
        sink: &mut impl Sink,
    ) -> Result<(), Malformed> {
        let start = self.members.len();
        move_tail(pending, first, &mut self.members)?;
        let members = self.members.get_mut(start..).unwrap_or_default();
        if sort::<F>(self.text, members, sink) == Keys::Distinct {
            let end = self.members.len();
            return push(&mut self.objects, Object { at, first: offset(start), end: offset(end) });
        }
        // Of equal keys the last in the text comes last here. That is the one which counts.
        let mut kept = 0;
        let mut repeated: Option<u32> = None;
        for index in 0..members.len() {
            if index % (STEP / 64) == STEP / 64 - 1 {
                sink.pulse();
            }
            let Some(&member) = members.get(index) else { break };
            let same = members
                .get(index + 1)
                .copied()
                .filter(|&next| key::compare::<F>(self.text, member as usize, next as usize).0.is_eq());
            if let Some(next) = same {
                repeated = Some(repeated.map_or(next, |earlier| earlier.min(next)));
            } else if let Some(place) = members.get_mut(kept) {
                *place = member;
                kept += 1;
            }
        }
        if let (true, Some(key)) = (F::IS_STRICT, repeated) {
            return Err(Malformed::NoForm { offset: key as usize - 1, what: "duplicate name in an object" });
        }
        self.members.truncate(start + kept);
        push(&mut self.objects, Object { at, first: offset(start), end: offset(start + kept) })
    }

    /// Everything that can fail here for want of memory fails before the first piece.
    pub(super) fn write<F: Form>(self, form: &F, sink: &mut impl Sink) -> Result<(), Malformed> {
        let mut open: Vec<Writing> = Vec::new();
        open.try_reserve_exact(self.depth).map_err(no_memory)?;
        let mut scan = Scanner::new(self.text);
        let mut out = Output::new(self.text, sink);
        let mut next_object = 0;

        loop {
            scan.skip_blank();
            match scan.peek() {
                b'{' => {
                    out.span(scan.at, scan.at + 1);
                    if let Some(object) = self.object_at(scan.at, &mut next_object) {
                        open.push(Writing::Indexed {
                            next: object.first,
                            end: object.end,
                            after: 0,
                            is_first: true,
                        });
                    } else {
                        scan.bump();
                        scan.skip_blank();
                        open.push(Writing::Object);
                        if scan.peek() != b'}' {
                            write_key::<F, _>(&mut scan, &mut out);
                            continue;
                        }
                    }
                }
                b'[' => {
                    out.span(scan.at, scan.at + 1);
                    open.push(Writing::Array);
                    scan.bump();
                    scan.skip_blank();
                    if scan.peek() != b']' {
                        continue;
                    }
                }
                b'"' => write_string::<F, _>(&mut scan, &mut out),
                b'-' | b'0'..=b'9' => form.number(scan.number()?, &mut out),
                _ => {
                    let start = scan.at;
                    scan.literal()?;
                    out.span(start, scan.at);
                }
            }
            loop {
                match open.last_mut() {
                    None => return out.finish(),
                    Some(Writing::Indexed { next, end, after, is_first }) => {
                        *after = offset(scan.at).max(*after);
                        if let (true, Some(&key)) = (*next < *end, self.members.get(*next as usize)) {
                            if !std::mem::take(is_first) {
                                out.byte(b',');
                            }
                            *next += 1;
                            scan.at = key as usize - 1;
                            write_key::<F, _>(&mut scan, &mut out);
                            break;
                        }
                        scan.at = *after as usize;
                        scan.skip_blank();
                        out.span(scan.at, scan.at + 1);
                        scan.bump();
                    }
                    Some(Writing::Array) => {
                        scan.skip_blank();
                        let is_more = scan.peek() == b',';
                        out.span(scan.at, scan.at + 1);
                        scan.bump();
                        if is_more {
                            break;
                        }
                    }
                    Some(Writing::Object) => {
                        scan.skip_blank();
                        let is_more = scan.peek() == b',';
                        out.span(scan.at, scan.at + 1);
                        scan.bump();
                        if is_more {
                            scan.skip_blank();
                            write_key::<F, _>(&mut scan, &mut out);
                            break;
                        }
                    }
                }
                open.pop();
                out.check()?;
            }
        }
    }

    /// The object that opens at `at`, if it is in the index; `next` is the one that is expected, and follows.
    fn object_at(&self, at: usize, next: &mut usize) -> Option<&Object> {
        let at = offset(at);
        let is_before = |index: usize| self.objects.get(index).is_some_and(|object| object.at < at);
        // Behind all that opened before it and at or before the next: else the walk has jumped.
        if is_before(*next) || *next > 0 && !is_before(*next - 1) {
            *next = self.objects.partition_point(|object| object.at < at);
        }
        let object = self.objects.get(*next).filter(|object| object.at == at)?;
        *next += 1;
        Some(object)
    }
}

/// Reads a key and its colon, and puts it among the members of the object that is open.
#[inline]
fn member<F: Form>(
    scan: &mut Scanner<'_>,
    open: Option<&mut Open>,
    pending: &mut Vec<u32>,
) -> Result<(), Malformed> {
    let start = scan.at + 1;
    scan.string(!F::IS_STRICT)?;
    scan.skip_blank();
    scan.demand(b':', "expected ':'")?;
    if let Some(Open::Object { last_key, is_ascending, .. }) = open {
        if *is_ascending && *last_key != 0 {
            *is_ascending = key::compare::<F>(scan.text, *last_key as usize, start).0.is_lt();
        }
        *last_key = offset(start);
    }
    push(pending, offset(start))
}

/// Writes a key and its colon, and stops before the value.
#[inline]
fn write_key<F: Form, S: Sink>(scan: &mut Scanner<'_>, out: &mut Output<'_, '_, S>) {
    write_string::<F, S>(scan, out);
    scan.skip_blank();
    out.span(scan.at, scan.at + 1);
    scan.bump();
}

#[inline]
fn write_string<F: Form, S: Sink>(scan: &mut Scanner<'_>, out: &mut Output<'_, '_, S>) {
    let start = scan.at;
    scan.at = F::end_of_plain(scan.text, start + 1);
    if scan.peek() == b'"' {
        scan.bump();
        out.span(start, scan.at);
    } else {
        write_rest_of_string::<F, S>(start, scan, out);
    }
}

/// From the first character that is not written as it stands.
fn write_rest_of_string<F: Form, S: Sink>(
    mut start: usize,
    scan: &mut Scanner<'_>,
    out: &mut Output<'_, '_, S>,
) {
    while scan.peek() != b'"' {
        out.span(start, scan.at);
        let code;
        (code, start) = code_point(scan.text, scan.at);
        F::character(code, out);
        scan.at = F::end_of_plain(scan.text, start);
    }
    scan.bump();
    out.span(start, scan.at);
}

/// As many members as an object usually has at most.
const FEW: usize = 32;

/// What is known of some sorted keys.
#[derive(PartialEq)]
enum Keys {
    Distinct,
    PerhapsEqual,
}

/// Sorts keys; equal ones by where they stand. Interruptible, for a hostile text can make this the longest part by far.
fn sort<F: Form>(text: &[u8], members: &mut [u32], sink: &mut impl Sink) -> Keys {
    if members.len() <= FEW
        && let Some(keys) = sort_few::<F>(text, members)
    {
        return keys;
    }
    let mut work = 0;
    members.sort_unstable_by(|&a, &b| {
        let (order, bytes) = key::compare::<F>(text, a as usize, b as usize);
        // A comparison is a look into memory far away, and then some words.
        work += 64 + bytes;
        if work >= STEP {
            work = 0;
            sink.pulse();
        }
        order.then(a.cmp(&b))
    });
    Keys::PerhapsEqual
}

/// The same with a table of the heads of all keys; nothing is done where one has none.
fn sort_few<F: Form>(text: &[u8], members: &mut [u32]) -> Option<Keys> {
    let mut heads = [(0, 0); FEW];
    for (place, &member) in heads.iter_mut().zip(members.iter()) {
        *place = (key::head::<F>(text, member as usize)?, member);
    }
    let heads = heads.get_mut(..members.len()).unwrap_or_default();
    heads.sort_unstable_by(|&a, &b| key::compare_with_heads::<F>(text, a, b).then(a.1.cmp(&b.1)));
    let mut keys = Keys::Distinct;
    let mut last = None;
    for (member, head) in members.iter_mut().zip(heads) {
        *member = head.1;
        if last == Some(head.0) {
            keys = Keys::PerhapsEqual;
        }
        last = Some(head.0);
    }
    Some(keys)
}

/// Moves what stands from `first` on to another list, back to front, and gives its memory back on the way: at no time are
/// there two copies of a long list.
fn move_tail(from: &mut Vec<u32>, first: usize, to: &mut Vec<u32>) -> Result<(), Malformed> {
    to.try_reserve(from.len() - first).map_err(no_memory)?;
    while from.len() > first {
        let cut = first.max(from.len().saturating_sub(STEP));
        to.extend(from.drain(cut..).rev());
        if from.capacity() > STEP {
            from.shrink_to_fit();
        }
    }
    Ok(())
}

/// Enough for a document of a kilobyte to grow no list.
const FIRST_ITEMS: usize = 32;

#[inline]
fn push<T>(list: &mut Vec<T>, item: T) -> Result<(), Malformed> {
    if list.len() == list.capacity() {
        list.try_reserve(FIRST_ITEMS).map_err(no_memory)?;
    }
    list.push(item);
    Ok(())
}

fn no_memory(_: TryReserveError) -> Malformed {
    Malformed::OutOfMemory
}

/// `read` has bounded the text below 2^32 bytes, and there are fewer members and objects than bytes.
#[inline]
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
