//! The escapes that both forms print.

/// The escape of two characters, if there is one.
pub(super) fn short(code: u32) -> Option<&'static [u8]> {
    Some(match code {
        0x22 => b"\\\"",
        0x5c => b"\\\\",
        0x08 => b"\\b",
        0x09 => b"\\t",
        0x0a => b"\\n",
        0x0c => b"\\f",
        0x0d => b"\\r",
        _ => return None,
    })
}

/// The escape of any UTF-16 unit.
pub(super) fn unit(unit: u32) -> [u8; 6] {
    let digit = |shift: u32| match (unit >> shift & 0xf).to_le_bytes()[0] {
        small @ 0..=9 => b'0' + small,
        large => b'a' + (large - 10),
    };
    [b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]
}
