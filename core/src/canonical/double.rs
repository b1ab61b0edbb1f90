//! Doubles from and to text, digit for digit as CPython reads and prints them.
//!
//! The standard library rounds as well as CPython does, but differs from it in two corners that a hash would notice: how
//! far it follows a huge exponent, and which of two equally near spellings it prints.

/// The double nearest to a JSON number.
pub(super) fn read(lexeme: &str) -> f64 {
    // The standard library stops counting an exponent beyond 65,535. A number that is shorter than that cannot bring it
    // back into the range of doubles, so only a longer one needs its point moved by hand.
    if lexeme.len() < 65_000 { nearest(lexeme) } else { nearest(&with_small_exponent(lexeme)) }
}

/// The scanner lets nothing pass that does not parse.
fn nearest(lexeme: &str) -> f64 {
    lexeme.parse().unwrap_or(f64::NAN)
}

/// The same number spelled `0.ddd` with a leading digit that is not zero, so that the exponent alone tells its size.
fn with_small_exponent(lexeme: &str) -> String {
    let (sign, unsigned) = lexeme.strip_prefix('-').map_or(("", lexeme), |rest| ("-", rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let leading_zeros = digits.len() - significant.len();
    let endless = if exponent.starts_with('-') { i128::MIN } else { i128::MAX };
    let exponent = exponent.parse().unwrap_or(endless);
    let point = exponent.saturating_add(whole.len() as i128).saturating_sub(leading_zeros as i128);
    // Doubles end near 1e-324 and 1e308; all that lies far beyond reads as zero or infinity.
    format!("{sign}0.{significant}0e{}", point.clamp(-1000, 1000))
}

/// Python's `repr`: the shortest digits that read back as the same double, positional while the decimal exponent lies in
/// -4..16 and then always with a fraction, scientific with at least two exponent digits outside.
pub(super) fn repr(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = shortest(value.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let digits = mantissa.replace('.', "");
    match exponent {
        -4..0 => {
            let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
            format!("{sign}0.{zeros}{digits}")
        }
        0..16 => {
            let whole = exponent.unsigned_abs() as usize + 1;
            match digits.split_at_checked(whole) {
                Some((whole, fraction)) if !fraction.is_empty() => format!("{sign}{whole}.{fraction}"),
                _ => format!("{sign}{digits:0<whole$}.0"),
            }
        }
        _ => {
            let direction = if exponent < 0 { '-' } else { '+' };
            format!("{sign}{mantissa}e{direction}{:02}", exponent.unsigned_abs())
        }
    }
}

/// The shortest digits in scientific notation; between two equally near spellings the one with the even last digit.
fn shortest(value: f64) -> String {
    let shortest = format!("{value:e}");
    let digits = shortest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    // 2169758666957829.25 lies exactly between ..9.2 and ..9.3, and both read back as it. Rounding to as many digits
    // breaks such a tie to even, as CPython does; where rounding gives another double, there was no tie.
    let rounded = format!("{value:.*e}", digits.saturating_sub(1));
    if rounded != shortest && nearest(&rounded) == value { rounded } else { shortest }
}
