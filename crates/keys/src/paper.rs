//! A whole master key on paper: few characters, and a checksum in each line that says which one was
//! misread.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use crate::{MasterKey, MasterKeyId};

const TITLE: &str = "emberkeep-paper-key 1";
const LINES: usize = 4;
const BYTES: usize = 8;

/// Why what was typed in is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PaperError {
    /// A line of the key is missing.
    #[error("line {0} of the key is missing")]
    Missing(usize),
    /// A line has other than 16 hexadecimal digits and a check of 4.
    #[error("line {0} of the key is not 16 hexadecimal digits and a check of 4")]
    Shape(usize),
    /// A line does not fit its check.
    #[error("line {0} of the key was misread: it does not fit its check")]
    Check(usize),
    /// The lines are whole, and are not lines of one key.
    #[error("the lines do not belong to one key: the id does not fit")]
    Id,
}

impl MasterKey {
    /// Writes a whole key down for paper; `None` where a project was erased under it: what is left
    /// of it is too long to type.
    pub fn to_paper(&self) -> Option<Zeroizing<String>> {
        let key = self.whole()?;
        let mut text = Zeroizing::new(String::with_capacity(512));
        let mut line = |words: std::fmt::Arguments<'_>| {
            text.write_fmt(words).expect("a string takes any text");
            text.push('\n');
        };
        line(format_args!("{TITLE}"));
        line(format_args!("id {}", self.id()));
        for (n, bytes) in key.chunks_exact(BYTES).enumerate() {
            let digits = Zeroizing::new(hex::encode(bytes));
            let parts: Vec<&str> = (0..4).map(|at| &digits[4 * at..4 * at + 4]).collect();
            let check = hex::encode(check(n, bytes));
            line(format_args!("{}: {}  {check}", n + 1, parts.join(" ")));
        }
        Some(text)
    }

    /// Reads a key as it was typed in: spaces, case and other lines do not matter.
    pub fn from_paper(text: &str) -> Result<Self, PaperError> {
        let mut key = Zeroizing::new([0; 32]);
        let mut found = [false; LINES];
        let mut id: Option<MasterKeyId> = None;
        for line in text.lines().map(str::trim) {
            if let Some(digits) = line.strip_prefix("id ") {
                id = digits.trim().to_lowercase().parse().ok();
            }
            let Some((number, digits)) = line.split_once(':') else {
                continue;
            };
            let Ok(number @ 1..=LINES) = number.trim().parse::<usize>() else {
                continue;
            };
            let digits: Zeroizing<String> = Zeroizing::new(
                digits
                    .chars()
                    .filter(|sign| !sign.is_whitespace() && *sign != '-')
                    .collect(),
            );
            let mut bytes = Zeroizing::new([0; BYTES + 2]);
            hex::decode_to_slice(digits.as_bytes(), &mut *bytes)
                .map_err(|_| PaperError::Shape(number))?;
            let (bytes, told) = bytes.split_at(BYTES);
            if check(number - 1, bytes) != told {
                return Err(PaperError::Check(number));
            }
            key[(number - 1) * BYTES..number * BYTES].copy_from_slice(bytes);
            found[number - 1] = true;
        }
        if let Some(missing) = found.iter().position(|found| !found) {
            return Err(PaperError::Missing(missing + 1));
        }
        let key = Self::from_bytes(*key);
        match id {
            Some(id) if id != key.id() => Err(PaperError::Id),
            Some(_) | None => Ok(key),
        }
    }

    /// Names the state of the key: another one once a project was erased under it, or it was
    /// changed. Two files of one state are good for the same.
    pub fn state(&self) -> String {
        let state = blake3::derive_key(
            "emberkeep 2026 v1 master key state",
            self.render().as_bytes(),
        );
        hex::encode(&state[..16])
    }
}

fn check(line: usize, bytes: &[u8]) -> [u8; 2] {
    let mut material = Zeroizing::new(vec![u8::try_from(line).unwrap_or(u8::MAX)]);
    material.extend_from_slice(bytes);
    let digest = blake3::derive_key("emberkeep 2026 v1 paper key check", &material);
    [digest[0], digest[1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paper_key_comes_back_and_a_misread_line_is_named() {
        let mut bytes = [0; 32];
        for (byte, n) in bytes.iter_mut().zip(0u8..) {
            *byte = n.wrapping_mul(7);
        }
        let key = MasterKey::from_bytes(bytes);
        let paper = key.to_paper().unwrap();
        let back = MasterKey::from_paper(&paper).unwrap();
        assert_eq!(back.whole(), key.whole());
        let typed = paper
            .to_uppercase()
            .replace("  ", " ")
            .replace(' ', "\u{a0}");
        let typed = typed.replace("EMBERKEEP", "typed by hand");
        assert_eq!(MasterKey::from_paper(&typed).unwrap().whole(), key.whole());

        let lines: Vec<&str> = paper.lines().collect();
        for n in 1..=LINES {
            let line = lines[1 + n];
            let start = line.find(':').unwrap() + 2;
            for at in (start..line.len()).filter(|at| line.as_bytes()[*at] != b' ') {
                let mut bad = line.as_bytes().to_vec();
                bad[at] = if bad[at] == b'3' { b'8' } else { b'3' };
                let bad = paper.replace(line, std::str::from_utf8(&bad).unwrap());
                let refused = MasterKey::from_paper(&bad).err();
                assert_eq!(refused, Some(PaperError::Check(n)), "line {n} at {at}");
            }
            let gone = MasterKey::from_paper(&paper.replace(line, ""));
            assert_eq!(gone.err(), Some(PaperError::Missing(n)));
            let short = MasterKey::from_paper(&paper.replace(line, &line[..line.len() - 1]));
            assert_eq!(short.err(), Some(PaperError::Shape(n)));
        }
        let other = MasterKey::from_bytes([9; 32]).to_paper().unwrap();
        let mixed = paper.replace(lines[5], other.lines().nth(5).unwrap());
        assert_eq!(MasterKey::from_paper(&mixed).err(), Some(PaperError::Id));
    }

    #[test]
    fn a_key_that_was_changed_is_another_state_and_not_for_paper() {
        let key = MasterKey::from_bytes([7; 32]);
        let less = key.without(emberkeep_format::KeyTag([1; 8]));
        assert!(less.to_paper().is_none());
        assert_ne!(less.state(), key.state());
        assert_eq!(key.state(), key.clone().state());
    }
}
