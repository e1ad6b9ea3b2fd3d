//! How Python writes numbers and text, and what its `int()` reads.

/// Python refuses to read or write integers with more digits than this.
pub(crate) const MAX_INT_DIGITS: usize = 4300;

/// Writes a float as `repr()` does: the shortest digits that read back as the same number.
pub(crate) fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let shortest = format!("{value:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    if !(-4..16).contains(&exponent) {
        let point = if digits.len() > 1 { "." } else { "" };
        let (first, rest) = digits.split_at(1);
        let direction = if exponent < 0 { '-' } else { '+' };
        return format!(
            "{sign}{first}{point}{rest}e{direction}{:02}",
            exponent.abs()
        );
    }
    let Ok(whole) = usize::try_from(exponent + 1) else {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("{sign}0.{zeros}{digits}");
    };
    if whole == 0 {
        return format!("{sign}0.{digits}");
    }
    if digits.len() <= whole {
        let zeros = "0".repeat(whole - digits.len());
        return format!("{sign}{digits}{zeros}.0");
    }
    let (integer, fraction) = digits.split_at(whole);
    format!("{sign}{integer}.{fraction}")
}

/// Writes text as `repr()` does: in single quotes unless that needs more escapes than double ones.
pub(crate) fn text_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c => {
                let code = u32::from(c);
                out.push_str(&match code {
                    0..=0xff => format!("\\x{code:02x}"),
                    0x100..=0xffff => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                });
            }
        }
    }
    out.push(quote);
    out
}

/// Tells whether Python shows a character as it is; unassigned code points are taken as shown.
fn is_printable(c: char) -> bool {
    let hidden = c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(u32::from(c),
            0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x8e2 | 0x180e
            | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f
            | 0xe000..=0xf8ff | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0x0010_ffff);
    !hidden
}

/// Reads an integer as `int(text)` does: blanks around it, a sign, single underscores between
/// digits, digits of any script. `None` if it is none, or does not fit.
pub(crate) fn parse_int(text: &str) -> Option<i128> {
    let text = text.trim_matches(char::is_whitespace);
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mut value: i128 = 0;
    let mut after_digit = false;
    for c in digits.chars() {
        if c == '_' && after_digit {
            after_digit = false;
            continue;
        }
        let digit = decimal_digit(c)?;
        value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
        after_digit = true;
    }
    after_digit.then_some(if negative { -value } else { value })
}

/// Returns the value of a decimal digit (Unicode category Nd) of the scripts in common use.
fn decimal_digit(c: char) -> Option<u32> {
    const ZEROS: [u32; 22] = [
        0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
        0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x17e0, 0x1810, 0x1946, 0xff10,
    ];
    let code = u32::from(c);
    ZEROS
        .iter()
        .map(|zero| code.wrapping_sub(*zero))
        .find(|digit| *digit < 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats() {
        for (value, want) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (7.9, "7.9"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.234_567_890_123_456_8e17, "1.2345678901234568e+17"),
            (1e22, "1e+22"),
            (0.0001, "0.0001"),
            (0.00012, "0.00012"),
            (1e-5, "1e-05"),
            (1.5e300, "1.5e+300"),
            (-2.5e-7, "-2.5e-07"),
            (5e-324, "5e-324"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float_repr(value), want);
        }
    }

    #[test]
    fn texts() {
        for (text, want) in [
            ("x", "'x'"),
            ("it's", "\"it's\""),
            ("a\"b", "'a\"b'"),
            ("it's \"x\"", "'it\\'s \"x\"'"),
            ("\n\t\\\0\u{7f}é\u{200b}", "'\\n\\t\\\\\\x00\\x7fé\\u200b'"),
            ("\u{f0000}", "'\\U000f0000'"),
        ] {
            assert_eq!(text_repr(text), want);
        }
    }

    #[test]
    fn integers() {
        for (text, want) in [
            ("7", Some(7)),
            (" \t+7\n", Some(7)),
            ("-7", Some(-7)),
            ("007", Some(7)),
            ("1_000", Some(1000)),
            ("\u{663}", Some(3)),
            ("\u{a0}7\u{2003}", Some(7)),
            ("", None),
            ("  ", None),
            ("-", None),
            ("--7", None),
            ("- 7", None),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("7.5", None),
            ("0x10", None),
            ("1e3", None),
            ("é", None),
        ] {
            assert_eq!(parse_int(text), want, "{text:?}");
        }
        assert_eq!(parse_int(&"9".repeat(60)), None, "does not fit");
    }
}
