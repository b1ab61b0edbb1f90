//! The words that mean something, and the classes of bytes.

use super::Awaits;

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

/// A short word in small letters; a longer one is none of ours.
pub(super) fn lowered<'a>(word: &[u8], space: &'a mut [u8; 16]) -> &'a [u8] {
    let Some(lower) = space.get_mut(..word.len()) else { return b"" };
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    lower
}

/// What a word lets expect of what stands behind it.
pub(super) fn announces(word: &[u8]) -> Awaits {
    let mut space = [0; 16];
    match lowered(word, &mut space) {
        b"rc" | b"sig" | b"http" | b"code" | b"errno" | b"signal" | b"errcode" | b"sqlcode" | b"hresult"
        | b"err_code" | b"sqlstate" | b"exitcode" | b"winerror" | b"ntstatus" | b"exit_code"
        | b"errorcode" | b"http_code" | b"error_code" | b"statuscode" | b"returncode" | b"status_code"
        | b"http_status" | b"return_code" | b"exit_status" => Awaits::Code,
        b"err" | b"error" | b"status" | b"exit" | b"exited" => Awaits::Figure,
        b"fatal" | b"pq" | b"panic" => Awaits::State,
        b"response" | b"returned" | b"received" | b"got" | b"failed" | b"occurred" | b"httperror"
        | b"http_error" | b"apierror" | b"clienterror" | b"servererror" | b"httpexception"
        | b"apistatuserror" | b"httpstatuserror" | b"statuscodeerror" => Awaits::Status,
        b"id" | b"container" | b"commit" | b"sha" | b"digest" | b"revision" | b"trace" | b"span"
        | b"request" | b"session" | b"job" | b"task" | b"run" | b"build" | b"user" | b"order"
        | b"customer" | b"userid" | b"jobid" | b"taskid" | b"orderid" | b"traceid" | b"spanid"
        | b"sessionid" | b"requestid" => Awaits::Id,
        lower if lower.ends_with(b"_id") => Awaits::Id,
        _ => Awaits::Nothing,
    }
}

/// Words that may stand between such a word and its number.
pub(super) fn leads_to_code(word: &[u8]) -> bool {
    matches!(word.len(), 2..=6) && is_one_of(word, &["is", "was", "of", "with", "number"])
}

/// Words behind a number that is not one of things.
pub(super) fn goes_with_code(word: &[u8]) -> bool {
    let mut space = [0; 16];
    matches!(
        lowered(word, &mut space),
        b"after"
            | b"and"
            | b"at"
            | b"because"
            | b"but"
            | b"by"
            | b"during"
            | b"for"
            | b"from"
            | b"in"
            | b"is"
            | b"on"
            | b"or"
            | b"to"
            | b"upon"
            | b"was"
            | b"when"
            | b"while"
            | b"with"
            | b"without"
    )
}

/// Words for what is counted.
pub(super) fn is_counted(word: &[u8]) -> bool {
    let mut space = [0; 16];
    matches!(
        lowered(word, &mut space),
        b"attempts"
            | b"entries"
            | b"errors"
            | b"events"
            | b"failures"
            | b"files"
            | b"items"
            | b"jobs"
            | b"lines"
            | b"messages"
            | b"nodes"
            | b"more"
            | b"out"
            | b"pending"
            | b"records"
            | b"requests"
            | b"retries"
            | b"rows"
            | b"tasks"
            | b"times"
            | b"tokens"
            | b"tries"
            | b"validation"
            | b"warnings"
            | b"workers"
    )
}

/// What a status of HTTP is called.
pub(super) fn reasons(status: &[u8]) -> &'static [&'static str] {
    match status {
        b"400" => &["bad request"],
        b"401" => &["unauthorized"],
        b"402" => &["payment required"],
        b"403" => &["forbidden"],
        b"404" => &["not found"],
        b"405" => &["method not allowed"],
        b"406" => &["not acceptable"],
        b"407" => &["proxy authentication required"],
        b"408" => &["request timeout"],
        b"409" => &["conflict"],
        b"410" => &["gone"],
        b"411" => &["length required"],
        b"412" => &["precondition failed"],
        b"413" => &["content too large", "payload too large", "request entity too large"],
        b"414" => &["uri too long", "request-uri too long"],
        b"415" => &["unsupported media type"],
        b"416" => &["range not satisfiable", "requested range not satisfiable"],
        b"417" => &["expectation failed"],
        b"421" => &["misdirected request"],
        b"422" => &["unprocessable content", "unprocessable entity"],
        b"426" => &["upgrade required"],
        b"428" => &["precondition required"],
        b"429" => &["too many requests"],
        b"431" => &["request header fields too large"],
        b"451" => &["unavailable for legal reasons"],
        b"500" => &["internal server error"],
        b"501" => &["not implemented"],
        b"502" => &["bad gateway"],
        b"503" => &["service unavailable", "service temporarily unavailable"],
        b"504" => &["gateway timeout", "gateway time-out"],
        b"505" => &["http version not supported"],
        b"511" => &["network authentication required"],
        _ => &[],
    }
}

/// Whether five characters are of a class of SQLSTATE.
pub(super) fn is_state(word: &[u8]) -> bool {
    word.len() == 5
        && word.iter().all(u8::is_ascii_alphanumeric)
        && is_one_of(
            &word[..2],
            &[
                "00", "01", "02", "03", "08", "09", "0a", "0b", "0f", "0l", "0p", "0z", "20", "21", "22",
                "23", "24", "25", "26", "27", "28", "2b", "2d", "2f", "34", "38", "39", "3b", "3d", "3f",
                "40", "42", "44", "53", "54", "55", "57", "58", "72", "f0", "hv", "p0", "xx",
            ],
        )
}

/// Kinds of codes whose digits follow at once, or behind a hyphen.
pub(super) fn is_kind_of_code(letters: &[u8], digits: usize) -> bool {
    let mut space = [0; 16];
    match lowered(letters, &mut space) {
        b"ec" | b"rc" | b"ts" | b"cs" | b"bc" | b"pg" | b"err" | b"ora" | b"tns" | b"pls" | b"rman"
        | b"sql" | b"lnk" | b"msb" | b"http" | b"code" | b"exit" | b"error" | b"errno" | b"status"
        | b"sqlcode" | b"pgrst" => (1..=5).contains(&digits),
        b"aadsts" => (1..=8).contains(&digits),
        _ => false,
    }
}

/// Families of models, whose versions are names.
pub(super) fn is_model(word: &[u8]) -> bool {
    let mut space = [0; 16];
    matches!(
        lowered(word, &mut space),
        b"gpt"
            | b"claude"
            | b"opus"
            | b"sonnet"
            | b"haiku"
            | b"llama"
            | b"gemini"
            | b"gemma"
            | b"mistral"
            | b"mixtral"
            | b"qwen"
            | b"deepseek"
            | b"whisper"
            | b"embedding"
    )
}

/// Protocols and languages, whose versions are names.
pub(super) fn is_platform(word: &[u8]) -> bool {
    let mut space = [0; 16];
    matches!(
        lowered(word, &mut space),
        b"tls" | b"tlsv" | b"ssl" | b"sslv" | b"python" | b"java" | b"jdk" | b"php" | b"ruby" | b"openssl"
    )
}

/// Words with digits that are names of things, not of one thing.
pub(super) fn is_name(word: &[u8]) -> bool {
    let known: &[&str] = match word.len() {
        2 => &["s3", "h2", "k8", "o1", "o3", "o4"],
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

/// Units that stay when they are written behind a number without a space.
pub(super) fn is_unit(word: &[u8]) -> bool {
    let mut space = [0; 16];
    matches!(
        lowered(word, &mut space),
        b"x" | b"px"
            | b"hz"
            | b"khz"
            | b"mhz"
            | b"ghz"
            | b"bps"
            | b"kbps"
            | b"mbps"
            | b"gbps"
            | b"rps"
            | b"qps"
            | b"usd"
            | b"eur"
            | b"cents"
            | b"c"
            | b"f"
            | b"v"
    )
}

/// What a number of such a unit says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Days,
    Time,
    Size,
}

/// Units of time and size, and ordinals: what of them is said does not count.
pub(super) fn measure(word: &[u8], is_apart: bool) -> Option<Measure> {
    let mut space = [0; 16];
    match lowered(word, &mut space) {
        b"d" if !is_apart => Some(Measure::Days),
        b"day" | b"days" => Some(Measure::Days),
        b"w" | b"y" if !is_apart => Some(Measure::Time),
        b"s" | b"m" | b"h" | b"ms" | b"us" | b"ns" | b"sec" | b"secs" | b"min" | b"mins" | b"hr" | b"hrs"
        | b"hour" | b"hours" | b"second" | b"seconds" | b"minute" | b"minutes" | b"week" | b"weeks"
        | b"month" | b"months" | b"year" | b"years" | b"msec" | b"msecs" | b"usec" | b"usecs" | b"millis"
        | b"millisecond" | b"milliseconds" | b"microsecond" | b"microseconds" | b"nanosecond"
        | b"nanoseconds" => Some(Measure::Time),
        b"b" | b"k" | b"g" | b"t" | b"ki" | b"mi" | b"gi" | b"ti" | b"st" | b"nd" | b"rd" | b"th"
            if !is_apart =>
        {
            Some(Measure::Size)
        }
        b"kb" | b"mb" | b"gb" | b"tb" | b"pb" | b"kib" | b"mib" | b"gib" | b"tib" | b"pib" | b"byte"
        | b"bytes" | b"kilobytes" | b"megabytes" | b"gigabytes" | b"terabytes" => Some(Measure::Size),
        _ => None,
    }
}

/// Names of zones behind a time of day.
pub(super) fn is_zone(word: &[u8]) -> bool {
    let mut space = [0; 16];
    matches!(
        lowered(word, &mut space),
        b"z" | b"utc"
            | b"gmt"
            | b"est"
            | b"edt"
            | b"cst"
            | b"cdt"
            | b"mst"
            | b"mdt"
            | b"pst"
            | b"pdt"
            | b"cet"
            | b"cest"
            | b"bst"
            | b"ist"
            | b"jst"
            | b"msk"
    )
}

pub(super) fn is_month(word: &[u8]) -> bool {
    let mut space = [0; 16];
    matches!(
        lowered(word, &mut space),
        b"jan"
            | b"feb"
            | b"mar"
            | b"apr"
            | b"may"
            | b"jun"
            | b"jul"
            | b"aug"
            | b"sep"
            | b"oct"
            | b"nov"
            | b"dec"
            | b"january"
            | b"february"
            | b"march"
            | b"april"
            | b"june"
            | b"july"
            | b"august"
            | b"september"
            | b"october"
            | b"november"
            | b"december"
    )
}

pub(super) fn is_day(word: &[u8]) -> bool {
    let mut space = [0; 16];
    matches!(
        lowered(word, &mut space),
        b"mon"
            | b"tue"
            | b"wed"
            | b"thu"
            | b"fri"
            | b"sat"
            | b"sun"
            | b"monday"
            | b"tuesday"
            | b"wednesday"
            | b"thursday"
            | b"friday"
            | b"saturday"
            | b"sunday"
    )
}
