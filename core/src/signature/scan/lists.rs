//! The words that mean something, and the classes of bytes.

pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub(super) fn has_digit(word: &[u8]) -> bool {
    word.iter().any(u8::is_ascii_digit)
}

pub(super) fn is_all(word: &[u8], class: fn(&u8) -> bool) -> bool {
    !word.is_empty() && word.iter().all(class)
}

/// Compares a word of letters with small ones.
pub(super) fn is_one_of(word: &[u8], known: &[&str]) -> bool {
    known.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}

/// Words behind which a number says which error it is.
pub(super) fn announces_code(word: &[u8]) -> bool {
    let known: &[&str] = match word.len() {
        2 => &["rc"],
        3 => &["err", "sig"],
        4 => &["http", "code", "exit"],
        5 => &["errno", "error"],
        6 => &["status", "signal", "exited"],
        7 => &["errcode", "sqlcode", "hresult"],
        8 => &["err_code", "sqlstate", "exitcode", "winerror", "ntstatus"],
        9 => &["exit_code", "errorcode", "http_code"],
        10 => &["error_code", "statuscode", "returncode"],
        11 => &["status_code", "http_status", "return_code"],
        _ => return false,
    };
    is_one_of(word, known)
}

/// Words that may stand between such a word and its number.
pub(super) fn leads_to_code(word: &[u8]) -> bool {
    matches!(word.len(), 2..=6) && is_one_of(word, &["is", "was", "of", "with", "number"])
}

/// Kinds of codes whose digits follow at once, or behind a hyphen.
pub(super) fn is_kind_of_code(letters: &[u8], digits: usize) -> bool {
    match letters.len() {
        1 => (3..=5).contains(&digits) && letters[0].eq_ignore_ascii_case(&b'e'),
        2..=8 => {
            (1..=5).contains(&digits)
                && is_one_of(
                    letters,
                    &[
                        "ec", "rc", "ts", "cs", "bc", "pg", "err", "ora", "tns", "pls", "rman", "sql", "lnk",
                        "msb", "http", "code", "exit", "error", "errno", "status", "sqlcode",
                    ],
                )
        }
        _ => false,
    }
}

/// Words with digits that are names of things, not of one thing.
pub(super) fn is_name(word: &[u8]) -> bool {
    let known: &[&str] = match word.len() {
        2 => &["s3", "h2", "k8"],
        3 => &[
            "ec2", "md5", "i18", "x86", "x64", "tls", "k8s", "db2", "io2", "mp3", "mp4", "ie9", "int", "i32",
            "i64", "u32", "u64", "f32", "f64",
        ],
        4 => {
            &["utf8", "sha1", "ipv4", "ipv6", "i18n", "l10n", "int2", "int4", "int8", "b2b_", "gpt4", "web3"]
        }
        5 => &["utf16", "utf32", "int16", "int32", "int64", "http1", "http2", "http3", "x86_64"],
        6 => &[
            "sha256", "sha384", "sha512", "base32", "base64", "oauth2", "x86_64", "win32", "float4",
            "float8", "uint32", "uint64", "latin1",
        ],
        7 => &["float32", "float64"],
        _ => return false,
    };
    is_one_of(word, known)
}

/// Units that are written behind a number without a space.
pub(super) fn is_unit(word: &[u8]) -> bool {
    word.len() <= 8
        && (is_duration(word)
            || is_one_of(
                word,
                &[
                    "b", "k", "g", "t", "kb", "mb", "gb", "tb", "pb", "kib", "mib", "gib", "tib", "bytes",
                    "x", "px", "hz", "khz", "mhz", "ghz", "st", "nd", "rd", "th", "bps", "kbps", "mbps",
                    "gbps", "rps", "qps", "usd", "eur", "cents", "c", "f", "w", "v",
                ],
            ))
}

pub(super) fn is_duration(word: &[u8]) -> bool {
    word.len() <= 7
        && is_one_of(
            word,
            &[
                "s", "m", "h", "d", "w", "y", "ms", "us", "ns", "sec", "secs", "min", "mins", "hr", "hrs",
                "day", "days", "hour", "hours", "second", "seconds", "minute", "minutes",
            ],
        )
}

pub(super) const MONTHS: [&str; 24] = [
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

pub(super) const DAYS: [&str; 14] = [
    "mon",
    "tue",
    "wed",
    "thu",
    "fri",
    "sat",
    "sun",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
