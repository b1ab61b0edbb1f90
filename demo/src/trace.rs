//! Reading a recorded trace: a CSV file with a header and the columns timestamp, context tokens and generated tokens.
//!
//! A line is read whole or not at all. What is wrong with a line is reported with its number; the caller chooses whether such
//! a line is left out or the whole file refused. A record may span lines only where a well-formed quoted field says so: when
//! such a record turns out malformed, its first line alone is to blame and reading goes on with the next, so that one stray
//! quote cannot swallow the rest of the file.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use chrono::{DateTime, Datelike, NaiveDateTime, Utc};

/// The longest record. A quote that is never closed is searched for its end no farther than this.
const LONGEST_RECORD: usize = 64 * 1024;

/// How many faults a message lists.
const LISTED_FAULTS: usize = 10;

/// Spellings of the columns, reduced to lower-case letters and digits.
const TIMESTAMP: &[&str] = &["timestamp"];
const CONTEXT_TOKENS: &[&str] = &["contexttokens", "inputtokens", "prompttokens"];
const GENERATED_TOKENS: &[&str] = &["generatedtokens", "outputtokens", "completiontokens"];

/// One request to a language model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub requested_at: DateTime<Utc>,
    pub context_tokens: i32,
    pub generated_tokens: i32,
}

/// What to do with a line that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OnMalformed {
    /// Leave it out and say so.
    Skip,
    /// Read nothing at all.
    Refuse,
}

/// Why a line was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1; the header is line 1.
    pub line: usize,
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Trace {
    pub requests: Vec<Request>,
    pub skipped: Vec<Fault>,
}

/// Why nothing was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    Header(String),
    Malformed(Vec<Fault>),
    Empty { skipped: Vec<Fault> },
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Header(reason) => write!(f, "line 1: {reason}"),
            Refusal::Malformed(faults) => write!(
                f,
                "malformed lines: {}; nothing was loaded\n{}\n(--on-malformed skip leaves such lines out)",
                faults.len(),
                listed(faults)
            ),
            Refusal::Empty { skipped } if skipped.is_empty() => {
                write!(f, "there is no line after the header")
            }
            Refusal::Empty { skipped } => write!(f, "no line can be read\n{}", listed(skipped)),
        }
    }
}

/// The first faults, one per line, and how many more there are.
pub fn listed(faults: &[Fault]) -> String {
    let mut lines: Vec<String> =
        faults.iter().take(LISTED_FAULTS).map(|fault| format!("  {fault}")).collect();
    if faults.len() > LISTED_FAULTS {
        lines.push(format!("  ... and {} more", faults.len() - LISTED_FAULTS));
    }
    lines.join("\n")
}

/// Reads a file.
pub fn read(path: &Path, on_malformed: OnMalformed) -> Result<Trace> {
    let bytes = std::fs::read(path).with_context(|| format!("reading the trace {}", path.display()))?;
    parse(&bytes, on_malformed).with_context(|| format!("the trace {} is refused", path.display()))
}

/// Reads the bytes of a file.
pub fn parse(bytes: &[u8], on_malformed: OnMalformed) -> Result<Trace, Refusal> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    // Line ends and blanks after the last record are no lines of their own.
    let mut rest = bytes.trim_ascii_end();
    if rest.is_empty() {
        return Err(Refusal::Header("the file is empty; a header with the column names is missing".into()));
    }
    let (header, taken) = Record::first_of(rest).map_err(Refusal::Header)?;
    let columns = Columns::of_header(&header.fields)?;
    rest = &rest[taken..];
    let mut line = 1 + header.lines;

    let mut requests = Vec::new();
    let mut faults = Vec::new();
    while !rest.is_empty() {
        let read = Record::first_of(rest)
            .and_then(|(record, taken)| Ok((columns.request(&record)?, record.lines, taken)));
        match read {
            Ok((request, lines, taken)) => {
                requests.push(request);
                rest = &rest[taken..];
                line += lines;
            }
            Err(reason) => {
                faults.push(Fault { line, reason });
                rest = &rest[end_of_line(rest)..];
                line += 1;
            }
        }
    }
    match on_malformed {
        OnMalformed::Refuse if !faults.is_empty() => Err(Refusal::Malformed(faults)),
        _ if requests.is_empty() => Err(Refusal::Empty { skipped: faults }),
        OnMalformed::Skip | OnMalformed::Refuse => Ok(Trace { requests, skipped: faults }),
    }
}

/// Where the next line begins.
fn end_of_line(text: &[u8]) -> usize {
    text.iter().position(|&byte| byte == b'\n').map_or(text.len(), |at| at + 1)
}

/// The fields between two line ends that are not quoted.
struct Record {
    fields: Vec<String>,
    /// How many lines it spans.
    lines: usize,
}

impl Record {
    /// The first record of a text, and how many bytes it takes with its line end.
    fn first_of(text: &[u8]) -> Result<(Record, usize), String> {
        let end = well_formed_end(text)?;
        let taken = text.len().min(end + 1);
        let record = text[..end].strip_suffix(b"\r").unwrap_or(&text[..end]);
        if record.trim_ascii().is_empty() {
            return Err("the line is blank".into());
        }
        let record = std::str::from_utf8(record).map_err(|_| "the line is not UTF-8".to_owned())?;
        // Where the record ends was decided above: to the csv crate a lone CR would be another end.
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .terminator(csv::Terminator::Any(b'\n'))
            .buffer_capacity(record.len())
            .from_reader(record.as_bytes());
        let mut fields = csv::StringRecord::new();
        reader.read_record(&mut fields).map_err(|error| error.to_string())?;
        let fields = fields.iter().map(|field| field.trim().to_owned()).collect();
        Ok((Record { fields, lines: 1 + record.matches('\n').count() }, taken))
    }
}

/// Where a text's first record ends. The csv crate makes something of every quote; here a broken one is an error.
fn well_formed_end(text: &[u8]) -> Result<usize, String> {
    #[derive(Clone, Copy)]
    enum At {
        FieldStart,
        Plain,
        Quoted,
        /// After a quote inside a quoted field: its end, or the first half of a doubled quote.
        Closing,
    }
    let mut at = At::FieldStart;
    for (index, &byte) in text.iter().enumerate() {
        if index > LONGEST_RECORD {
            return Err(match at {
                At::Quoted => "a quoted field has no end".into(),
                At::FieldStart | At::Plain | At::Closing => {
                    format!("the line is longer than {LONGEST_RECORD} bytes")
                }
            });
        }
        at = match (at, byte) {
            (At::FieldStart | At::Plain | At::Closing, b'\n') => return Ok(index),
            (At::FieldStart | At::Plain | At::Closing, b',') => At::FieldStart,
            (At::FieldStart | At::Closing, b'"') => At::Quoted,
            (At::Plain, b'"') => {
                return Err("a quote stands inside a field that does not begin with one".into());
            }
            (At::FieldStart | At::Plain, _) => At::Plain,
            (At::Quoted, b'"') => At::Closing,
            (At::Quoted, _) => At::Quoted,
            (At::Closing, b'\r') if matches!(text.get(index + 1), None | Some(b'\n')) => At::Closing,
            (At::Closing, _) => return Err("a quoted field goes on after its closing quote".into()),
        };
    }
    match at {
        At::Quoted => Err("a quoted field has no end".into()),
        At::FieldStart | At::Plain | At::Closing => Ok(text.len()),
    }
}

/// Where the three columns stand.
#[derive(Debug)]
struct Columns {
    count: usize,
    timestamp: usize,
    context_tokens: usize,
    generated_tokens: usize,
}

impl Columns {
    fn of_header(names: &[String]) -> Result<Self, Refusal> {
        let find = |spellings: &[&str], what: &str| {
            let mut found =
                names.iter().enumerate().filter(|(_, name)| spellings.contains(&plain(name).as_str()));
            match (found.next(), found.next()) {
                (Some((index, _)), None) => Ok(index),
                (Some((_, one)), Some((_, other))) => {
                    Err(Refusal::Header(format!("two columns for {what}: {one:?} and {other:?}")))
                }
                (None, _) => Err(Refusal::Header(format!(
                    "no column for {what} (such as {:?}) in the header {}",
                    spellings.first().copied().unwrap_or_default(),
                    shown(&names.join(","))
                ))),
            }
        };
        Ok(Columns {
            count: names.len(),
            timestamp: find(TIMESTAMP, "the timestamp")?,
            context_tokens: find(CONTEXT_TOKENS, "the context tokens")?,
            generated_tokens: find(GENERATED_TOKENS, "the generated tokens")?,
        })
    }

    fn request(&self, record: &Record) -> Result<Request, String> {
        let fields = &record.fields;
        if fields.len() != self.count {
            return Err(format!("{} fields where the header has {}", fields.len(), self.count));
        }
        Ok(Request {
            requested_at: timestamp(&fields[self.timestamp])?,
            context_tokens: tokens(&fields[self.context_tokens], "context tokens")?,
            generated_tokens: tokens(&fields[self.generated_tokens], "generated tokens")?,
        })
    }
}

/// A column name without what people vary: case, blanks, underscores.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

/// A moment, in UTC unless it names its offset.
fn timestamp(field: &str) -> Result<DateTime<Utc>, String> {
    if field.is_empty() {
        return Err("the timestamp is missing".into());
    }
    let with_offset = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"]
        .iter()
        .find_map(|format| DateTime::parse_from_str(field, format).ok())
        .map(|at| at.with_timezone(&Utc));
    let without = || {
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(field, format).ok())
            .map(|at| at.and_utc())
    };
    let at = with_offset
        .or_else(without)
        .ok_or_else(|| format!("the timestamp {} is not like 2023-11-16 18:15:46.68", shown(field)))?;
    // A year of five digits is a slip, and the server's own range ends somewhere too.
    if (1970..=9999).contains(&at.year()) {
        Ok(at)
    } else {
        Err(format!("the timestamp {} is not between the years 1970 and 9999", shown(field)))
    }
}

/// A number of tokens.
fn tokens(field: &str, what: &str) -> Result<i32, String> {
    if field.is_empty() {
        return Err(format!("{what} is missing"));
    }
    let wrong = |how: &str| Err(format!("{what} {} is {how}", shown(field)));
    if let Ok(count) = field.parse::<i64>() {
        return match i32::try_from(count) {
            Ok(count) if count >= 0 => Ok(count),
            _ if count < 0 => wrong("negative"),
            _ => wrong("too large"),
        };
    }
    match field.parse::<f64>() {
        Err(_) => wrong("not a number"),
        Ok(number) if !number.is_finite() => wrong("not finite"),
        Ok(number) if number < 0.0 => wrong("negative"),
        Ok(number) if number >= 9e18 => wrong("too large"),
        Ok(_) => wrong("not a whole number"),
    }
}

/// A value from the file, safe and short enough for a terminal.
fn shown(value: &str) -> String {
    let mut short: String = value.chars().take(60).collect();
    if short.len() < value.len() {
        short.push_str("...");
    }
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
    const GOOD: &str = "2023-11-16 18:15:46.6805900,374,44\n";

    fn strict(text: &str) -> Result<Trace, Refusal> {
        parse(text.as_bytes(), OnMalformed::Refuse)
    }

    fn lenient(text: &str) -> Trace {
        parse(text.as_bytes(), OnMalformed::Skip).unwrap()
    }

    /// The reason why `line` is malformed; it stands as line 3 between two good ones, which must survive it.
    fn reason(line: &str) -> String {
        let text = format!("{HEADER}{GOOD}{line}\n{GOOD}");
        let trace = lenient(&text);
        assert_eq!(trace.requests.len(), 2, "the neighbours of {line:?} are read");
        assert_eq!(trace.skipped.len(), 1, "{:?}", trace.skipped);
        assert_eq!(trace.skipped[0].line, 3);
        assert_eq!(strict(&text), Err(Refusal::Malformed(trace.skipped.clone())));
        trace.skipped[0].reason.clone()
    }

    #[test]
    fn trace_reads_the_three_columns() {
        let at = Utc.with_ymd_and_hms(2023, 11, 16, 18, 15, 46).unwrap()
            + chrono::TimeDelta::nanoseconds(680_590_000);
        let trace = strict(&format!("{HEADER}{GOOD}")).unwrap();
        assert_eq!(trace.requests, [Request { requested_at: at, context_tokens: 374, generated_tokens: 44 }]);
        assert!(trace.skipped.is_empty());
    }

    #[test]
    fn trace_takes_any_spelling_order_and_further_columns() {
        let plain = strict(&format!("{HEADER}{GOOD}")).unwrap();
        for text in [
            "timestamp,context_tokens,generated_tokens\n2023-11-16 18:15:46.68059,374,44",
            "Model,Generated Tokens,Context Tokens,Timestamp\nx,44,374,2023-11-16T18:15:46.68059Z",
            "\"TIMESTAMP\",\"context-tokens\",\"note\",\"GENERATED_TOKENS\"\n\"2023-11-16 19:15:46.68059+01:00\",\"374\",\"a, \"\"b\"\"\",44",
            "timestamp,input_tokens,output_tokens\n2023-11-16 18:15:46.68059+00:00, 374 , 44",
        ] {
            assert_eq!(strict(text).unwrap(), plain, "{text}");
        }
    }

    #[test]
    fn trace_tolerates_bom_crlf_and_blank_ends() {
        let plain = strict(&format!("{HEADER}{GOOD}{GOOD}")).unwrap();
        let windows = format!("\u{feff}{HEADER}{GOOD}{GOOD}").replace('\n', "\r\n");
        assert_eq!(strict(&windows).unwrap(), plain);
        assert_eq!(strict(&format!("{HEADER}{GOOD}{GOOD}\n\n  \r\n\n")).unwrap(), plain);
        assert_eq!(strict(format!("{HEADER}{GOOD}{GOOD}").trim_end()).unwrap(), plain);
    }

    #[test]
    fn trace_record_may_span_lines_inside_quotes() {
        let text = "timestamp,note,context_tokens,generated_tokens\n\
                    2023-11-16 18:15:46,\"one\ntwo\",1,2\n\
                    2023-11-16 18:15:47,three,x,4\n";
        let trace = lenient(text);
        assert_eq!(trace.requests.len(), 1);
        assert_eq!(trace.skipped[0].line, 4, "lines are counted as an editor counts them");
    }

    #[test]
    fn trace_reports_missing_fields() {
        assert_eq!(reason("2023-11-16 18:15:46,,44"), "context tokens is missing");
        assert_eq!(reason("2023-11-16 18:15:46,374,"), "generated tokens is missing");
        assert_eq!(reason(",374,44"), "the timestamp is missing");
        assert_eq!(reason("2023-11-16 18:15:46,374"), "2 fields where the header has 3");
        assert_eq!(reason("2023-11-16 18:15:46,374,44,7"), "4 fields where the header has 3");
        assert_eq!(
            reason("2023-11-16 18:15:46,374\r,44\r2023"),
            "generated tokens \"44\\r2023\" is not a number"
        );
        assert_eq!(reason("   "), "the line is blank");
    }

    #[test]
    fn trace_reports_bad_numbers() {
        assert_eq!(reason("2023-11-16 18:15:46,many,44"), "context tokens \"many\" is not a number");
        assert_eq!(reason("2023-11-16 18:15:46,0x10,44"), "context tokens \"0x10\" is not a number");
        assert_eq!(reason("2023-11-16 18:15:46,374,-1"), "generated tokens \"-1\" is negative");
        assert_eq!(reason("2023-11-16 18:15:46,374,-inf"), "generated tokens \"-inf\" is not finite");
        assert_eq!(reason("2023-11-16 18:15:46,NaN,44"), "context tokens \"NaN\" is not finite");
        assert_eq!(reason("2023-11-16 18:15:46,1.5,44"), "context tokens \"1.5\" is not a whole number");
        assert_eq!(reason("2023-11-16 18:15:46,2147483648,44"), "context tokens \"2147483648\" is too large");
        assert_eq!(
            reason("2023-11-16 18:15:46,99999999999999999999,44"),
            "context tokens \"99999999999999999999\" is too large"
        );
    }

    #[test]
    fn trace_reports_bad_timestamps() {
        for bad in [
            "yesterday",
            "2023-13-01 00:00:00",
            "2023-11-16",
            "1700000000",
            "2023-11-16 25:00:00",
            "2023-11-16 18:15:46 CET",
        ] {
            assert_eq!(
                reason(&format!("{bad},374,44")),
                format!("the timestamp {bad:?} is not like 2023-11-16 18:15:46.68")
            );
        }
        assert!(reason("+12023-11-16 18:15:46,374,44").contains("between the years"));
        assert!(reason("0023-11-16 18:15:46,374,44").contains("between the years"));
    }

    #[test]
    fn trace_reports_broken_quotes_and_loses_no_other_line() {
        assert_eq!(reason("\"2023-11-16 18:15:46,374,44"), "a quoted field has no end");
        assert_eq!(
            reason("2023-11-16 18:15:46,\"374\"5,44"),
            "a quoted field goes on after its closing quote"
        );
        assert_eq!(
            reason("2023-11-16 18:15:46,3\"74,44"),
            "a quote stands inside a field that does not begin with one"
        );
    }

    #[test]
    fn trace_blank_before_a_quote_is_no_quoted_field() {
        assert!(reason("2023-11-16 18:15:46, \"374\",44").starts_with("a quote stands inside"));
    }

    #[test]
    fn trace_two_stray_quotes_do_not_swallow_what_is_between() {
        let text =
            format!("{HEADER}2023-11-16 18:15:46,\"374,44\n{GOOD}{GOOD}2023-11-16 18:15:46,374,44\"\n{GOOD}");
        let trace = lenient(&text);
        assert_eq!(trace.requests.len(), 3);
        assert_eq!(trace.skipped.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 5]);
    }

    #[test]
    fn trace_reports_what_is_no_text() {
        let mut bytes = format!("{HEADER}{GOOD}").into_bytes();
        bytes.extend(b"2023-11-16 18:15:46,\xff,44\n");
        let trace = parse(&bytes, OnMalformed::Skip).unwrap();
        assert_eq!(trace.skipped, [Fault { line: 3, reason: "the line is not UTF-8".into() }]);
        assert_eq!(reason("2023-11-16 18:15:46,3\u{0}4,44"), "context tokens \"3\\04\" is not a number");
    }

    #[test]
    fn trace_overlong_line_is_one_fault() {
        assert!(reason(&"x".repeat(LONGEST_RECORD + 10)).contains("longer than"));
    }

    #[test]
    fn trace_refuses_a_file_without_its_columns() {
        let refusal = strict("timestamp;context_tokens;generated_tokens\n").unwrap_err().to_string();
        assert!(refusal.starts_with("line 1: no column for the timestamp"), "{refusal}");
        assert!(
            strict("timestamp,context_tokens\nx,1\n").unwrap_err().to_string().contains("generated tokens")
        );
        let twice =
            strict("timestamp,context_tokens,ContextTokens,generated_tokens\n").unwrap_err().to_string();
        assert!(twice.contains("two columns for the context tokens"), "{twice}");
        assert!(matches!(strict(""), Err(Refusal::Header(_))));
        assert!(matches!(strict("\u{feff}\r\n\n"), Err(Refusal::Header(_))));
    }

    #[test]
    fn trace_refuses_a_file_without_a_good_line() {
        assert_eq!(strict(HEADER), Err(Refusal::Empty { skipped: vec![] }));
        let text = format!("{HEADER}a,b,c\n");
        assert!(
            matches!(parse(text.as_bytes(), OnMalformed::Skip), Err(Refusal::Empty { skipped }) if skipped.len() == 1)
        );
    }

    #[test]
    fn trace_refusal_lists_the_first_faults_and_counts_the_rest() {
        let text = format!("{HEADER}{}", "x,1,2\n".repeat(25));
        let message = strict(&text).unwrap_err().to_string();
        assert!(message.starts_with("malformed lines: 25;"), "{message}");
        assert!(
            message.contains("  line 2: ") && message.contains("  line 11: ") && !message.contains("line 12")
        );
        assert!(message.contains("... and 15 more"));
    }
}
