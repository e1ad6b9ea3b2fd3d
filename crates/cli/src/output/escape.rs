//! Names come from anybody: what would steer a terminal is shown and not sent.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Shows control characters, and those that turn the direction of text, as `\\u{1b}`. Line breaks
/// stay: they can move nothing that was printed before.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for sign in text.chars() {
        if steers(sign) {
            write!(shown, "{}", sign.escape_unicode()).expect("a string takes any text");
        } else {
            shown.push(sign);
        }
    }
    Cow::Owned(shown)
}

/// The same within JSON, where these signs stand in strings only and have another form.
pub(crate) fn escape_json(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for sign in text.chars() {
        if steers(sign) {
            write!(shown, "\\u{:04x}", u32::from(sign)).expect("a string takes any text");
        } else {
            shown.push(sign);
        }
    }
    Cow::Owned(shown)
}

fn steers(sign: char) -> bool {
    (sign.is_control() && sign != '\n')
        || matches!(sign, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sign_that_steers_a_terminal_is_left() {
        for code in (0..0x110000).filter_map(char::from_u32) {
            let name = format!("a{code}b");
            let shown = escape(&name);
            let left = shown.chars().any(|sign| sign.is_control() && sign != '\n');
            assert!(!left, "{code:?}");
            if code.is_alphanumeric() || code == '\n' || code == ' ' {
                assert_eq!(shown, name);
            }
            let json = serde_json::Value::String(name);
            let text = json.to_string();
            let shown = escape_json(&text);
            assert!(shown.chars().all(|sign| !sign.is_control()), "{code:?}");
            let back: serde_json::Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(back, json, "{code:?}");
        }
        assert_eq!(
            escape("\u{1b}[2J\r\tx\u{9b}"),
            "\\u{1b}[2J\\u{d}\\u{9}x\\u{9b}"
        );
        assert_eq!(escape("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
    }
}
