//! A JSON text with an index of its object members.
//!
//! Promises: [`Document::read`] validates the whole text in one pass and remembers where each member's key and value
//! begin; [`Document::write`] walks the text again in the order a form asks for. Arrays and scalars need no index: the
//! second walk reads them where they stand. Both walks keep their own stack, so depth costs memory and never the
//! program's stack. Does not: build values or copy any part of the text.
//!
//! ```text
//!   text      {"b":[{"x":1}],"a":2}
//!   objects   #0 members 1..3, after 21      #1 members 0..1, after 13
//!   members   0: x -> 10     1: b -> 5, next object #1     2: a -> 19, next object #2
//! ```
//!
//! Objects are numbered in the order they open. Members of one object stand together in `members`, in text order, once
//! the object closes. A place is an offset *and* the number of the next object to open, so that the second walk knows
//! at each `{` which object it has met without searching.

use std::ops::Range;

use super::scan::Scanner;
use super::{Form, Limits, Malformed};

pub(super) struct Document<'a> {
    text: &'a str,
    objects: Vec<Object>,
    members: Vec<Member>,
}

/// Offsets fit 32 bits because [`Document::read`] refuses longer texts: half the index of a machine word.
#[derive(Clone, Copy, Default)]
struct Place {
    at: u32,
    next_object: u32,
}

#[derive(Clone, Copy, Default)]
struct Object {
    first: u32,
    end: u32,
    after: Place,
}

#[derive(Clone, Copy)]
struct Member {
    key_start: u32,
    key_end: u32,
    is_key_plain: bool,
    value: Place,
}

/// A member's key as it stands between its quotes.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) raw: &'a str,
    /// Free of escapes: `raw` is the key itself.
    pub(super) is_plain: bool,
}

impl Member {
    fn key<'a>(&self, text: &'a str) -> Key<'a> {
        let span = self.key_start as usize..self.key_end as usize;
        Key { raw: text.get(span).unwrap_or(""), is_plain: self.is_key_plain }
    }
}

/// What is open while reading.
enum Open {
    Array,
    /// The object's number, and where its members begin among those of unfinished objects.
    Object {
        number: usize,
        first_pending: usize,
    },
}

impl<'a> Document<'a> {
    pub(super) fn read(text: &'a str, limits: &Limits) -> Result<Self, Malformed> {
        let limit = limits.bytes.min(u32::MAX as usize);
        if text.len() > limit {
            return Err(Malformed::TooLarge { bytes: text.len(), limit });
        }
        let mut document = Self { text, objects: Vec::new(), members: Vec::new() };
        let mut scan = Scanner::new(text);
        let mut open: Vec<Open> = Vec::new();
        let mut pending: Vec<Member> = Vec::new();

        loop {
            scan.skip_blank();
            match scan.peek() {
                b'{' | b'[' if open.len() >= limits.depth => {
                    return Err(Malformed::TooDeep { offset: scan.at, limit: limits.depth });
                }
                b'{' => {
                    open.push(Open::Object { number: document.objects.len(), first_pending: pending.len() });
                    document.objects.push(Object::default());
                    scan.bump();
                    scan.skip_blank();
                    if scan.peek() != b'}' {
                        pending.push(document.member(&mut scan)?);
                        continue;
                    }
                }
                b'[' => {
                    open.push(Open::Array);
                    scan.bump();
                    scan.skip_blank();
                    if scan.peek() != b']' {
                        continue;
                    }
                }
                b'"' => {
                    scan.string()?;
                }
                b'-' | b'0'..=b'9' => {
                    scan.number()?;
                }
                _ => {
                    scan.literal()?;
                }
            }
            // A value is complete, or a container has just opened and closes at once.
            loop {
                scan.skip_blank();
                match (open.last(), scan.peek()) {
                    (None, _) if scan.is_at_end() => return Ok(document),
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
                    (Some(Open::Object { .. }), b',') => {
                        scan.bump();
                        scan.skip_blank();
                        pending.push(document.member(&mut scan)?);
                        break;
                    }
                    (Some(&Open::Object { number, first_pending }), b'}') => {
                        scan.bump();
                        open.pop();
                        document.close(number, pending.drain(first_pending..), scan.at);
                    }
                    (Some(Open::Object { .. }), _) => return Err(scan.syntax("expected ',' or '}'")),
                }
            }
        }
    }

    /// Reads a key and its colon.
    fn member(&self, scan: &mut Scanner<'a>) -> Result<Member, Malformed> {
        let key_start = offset(scan.at + 1);
        let raw = scan.string()?;
        scan.skip_blank();
        scan.demand(b':', "expected ':'")?;
        Ok(Member {
            key_start,
            key_end: key_start + offset(raw.len()),
            is_key_plain: !raw.contains('\\'),
            value: self.place(scan.at),
        })
    }

    fn close(&mut self, number: usize, members: impl Iterator<Item = Member>, after: usize) {
        let first = offset(self.members.len());
        self.members.extend(members);
        let closed = Object { first, end: offset(self.members.len()), after: self.place(after) };
        if let Some(object) = self.objects.get_mut(number) {
            *object = closed;
        }
    }

    fn place(&self, at: usize) -> Place {
        Place { at: offset(at), next_object: offset(self.objects.len()) }
    }

    pub(super) fn write<F: Form>(mut self, sink: &mut impl FnMut(&[u8])) -> Result<(), Malformed> {
        let text = self.text;
        let mut scan = Scanner::new(text);
        let mut next_object = 0;
        let mut open: Vec<Writing> = Vec::new();

        loop {
            scan.skip_blank();
            match scan.peek() {
                b'{' => {
                    let object = self.objects.get(next_object as usize).copied().unwrap_or_default();
                    let members = object.first as usize..object.end as usize;
                    if let Some(members) = self.members.get_mut(members.clone()) {
                        members.sort_by(|a, b| F::compare(a.key(text), b.key(text)));
                    }
                    sink(b"{");
                    open.push(Writing::Object { members, after: object.after, is_first: true });
                }
                b'[' => {
                    sink(b"[");
                    open.push(Writing::Array);
                    scan.bump();
                    scan.skip_blank();
                    if scan.peek() != b']' {
                        continue;
                    }
                }
                b'"' => F::string(scan.string()?, sink),
                b'-' | b'0'..=b'9' => F::number(scan.number()?, sink),
                _ => sink(scan.literal()?.as_bytes()),
            }
            loop {
                match open.last_mut() {
                    None => return Ok(()),
                    Some(Writing::Array) => {
                        scan.skip_blank();
                        let is_more = scan.peek() == b',';
                        scan.bump();
                        if is_more {
                            sink(b",");
                            break;
                        }
                        sink(b"]");
                    }
                    Some(Writing::Object { members, after, is_first }) => {
                        if let Some(member) = self.next_distinct::<F>(members) {
                            sink(if std::mem::take(is_first) { b"" } else { b"," });
                            F::string(member.key(text).raw, sink);
                            sink(b":");
                            scan.at = member.value.at as usize;
                            next_object = member.value.next_object;
                            break;
                        }
                        sink(b"}");
                        scan.at = after.at as usize;
                        next_object = after.next_object;
                    }
                }
                open.pop();
            }
        }
    }

    /// The next member that no later member of the same key overrides. The sort is stable, so among equal keys the one
    /// that stands last in the text comes last here.
    fn next_distinct<F: Form>(&self, members: &mut Range<usize>) -> Option<Member> {
        let mut member = self.members.get(members.next()?)?;
        while let Some(later) = self.members.get(members.clone()).and_then(<[Member]>::first) {
            if F::compare(member.key(self.text), later.key(self.text)).is_ne() {
                break;
            }
            member = later;
            members.next();
        }
        Some(*member)
    }
}

/// What is open while writing.
enum Writing {
    Array,
    Object { members: Range<usize>, after: Place, is_first: bool },
}

/// `read` has bounded the text below 2^32 bytes, and there are fewer members and objects than bytes.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
