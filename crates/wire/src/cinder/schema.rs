//! Checks a request body against a table, refusing what Cinder's schemas refuse, in their words.
//!
//! The order of the checks is theirs too: type, each known member in the table's order, what is
//! required, what is unexpected; the first thing wrong is the one that is told.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::json::quoted;
use super::{Fault, Json, Microversion};

/// The longest name or text, in characters.
pub(super) const MAX_TEXT: usize = 255;
/// The largest number that Cinder's database takes.
const MAX_INT: i128 = 0x7fff_ffff;
/// What keys of metadata look like, as refusals quote it.
const METADATA_KEY: &str = "^[a-zA-Z0-9-_:. /]{1,255}$";

pub(super) const YES: [&str; 12] = [
    "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "y", "t",
];
pub(super) const NO: [&str; 12] = [
    "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "n", "f",
];

/// What a member may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A UUID in any spelling.
    Uuid,
    /// The same, or null.
    UuidOrNull,
    /// At most 255 characters, or null.
    Text,
    /// Any number of characters.
    LongText,
    /// At most 255 characters.
    ShortText,
    /// At most 255 characters, printable ones only, or null.
    Printable,
    /// At most 255 characters, checked after blanks around it are gone, or null; for volumes.
    Trimmed(&'static str),
    /// One of the words for true and false.
    Flag,
    /// The same, or null.
    FlagOrNull,
    /// Pairs of strings.
    Metadata,
    /// The same, or null.
    MetadataOrNull,
    /// A positive whole number, also as text.
    Size,
    /// The same, or null.
    SizeOrNull,
}

/// One member of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// Its key.
    pub(super) name: &'static str,
    /// What it may hold.
    pub(super) kind: Kind,
    /// The first microversion that has it.
    pub(super) since: Microversion,
}

/// A member that was there from the start.
pub(super) const fn rule(name: &'static str, kind: Kind) -> Rule {
    rule_since(name, kind, 0)
}

/// A member that came with 3.`since`.
pub(super) const fn rule_since(name: &'static str, kind: Kind, since: u16) -> Rule {
    Rule {
        name,
        kind,
        since: Microversion::v3(since),
    }
}

/// The form of a request body: `{"key": {…}}`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// The one key of the body.
    pub(super) key: &'static str,
    /// The members beneath it.
    pub(super) rules: &'static [Rule],
    /// Those that must be there.
    pub(super) required: &'static [&'static str],
    /// The first microversion that refuses members not in `rules`; below it they are not looked at.
    pub(super) closed_since: Microversion,
    /// The first microversion that wants at least one of the members.
    pub(super) some_since: Option<Microversion>,
    /// Another key that may stand beside the first one and is not looked at.
    pub(super) beside: Option<&'static str>,
}

impl Shape {
    /// A form that has no liberties.
    pub(super) const fn new(key: &'static str, rules: &'static [Rule]) -> Self {
        Self {
            key,
            rules,
            required: &[],
            closed_since: Microversion::MIN,
            some_since: None,
            beside: None,
        }
    }

    /// Checks `body` and gives access to its members.
    pub(super) fn check<'a>(
        &'static self,
        body: &'a Json,
        version: Microversion,
    ) -> Result<Fields<'a>, Fault> {
        let Some(members) = body.members() else {
            return Err(Fault::bad_request(wrong_type(body, "'object'")));
        };
        let inner = body.get(self.key);
        if let Some(inner) = inner {
            self.check_inner(inner, version)?;
        }
        let Some(inner) = inner else {
            return Err(Fault::bad_request(missing(self.key)));
        };
        let extra = members
            .iter()
            .map(|(key, _)| key.as_str())
            .filter(|key| *key != self.key && self.beside != Some(key));
        if let Some(message) = unexpected(extra) {
            return Err(Fault::bad_request(message));
        }
        Ok(Fields {
            object: inner,
            rules: self.rules,
            version,
        })
    }

    fn check_inner(&self, inner: &Json, version: Microversion) -> Result<(), Fault> {
        let Some(members) = inner.members() else {
            return Err(refuse(self.key, inner, &wrong_type(inner, "'object'")));
        };
        let known = || self.rules.iter().filter(|rule| rule.since <= version);
        for rule in known() {
            if let Some(value) = inner.get(rule.name) {
                check_value(rule.name, rule.kind, value)?;
            }
        }
        for name in self.required {
            if inner.get(name).is_none() {
                return Err(refuse(self.key, inner, &missing(name)));
            }
        }
        if version >= self.closed_since {
            let extra = members
                .iter()
                .map(|(key, _)| key.as_str())
                .filter(|key| known().all(|rule| rule.name != *key));
            if let Some(message) = unexpected(extra) {
                return Err(refuse(self.key, inner, &message));
            }
        }
        let wants_some = self.some_since.is_some_and(|since| version >= since);
        if wants_some && known().all(|rule| inner.get(rule.name).is_none()) {
            return Err(refuse(self.key, inner, &no_schema(inner)));
        }
        Ok(())
    }
}

/// The members of a body that was checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    object: &'a Json,
    rules: &'static [Rule],
    version: Microversion,
}

impl Fields<'_> {
    /// Returns the member, unless the microversion does not know it.
    fn get(&self, name: &str) -> Option<&Json> {
        let known = self
            .rules
            .iter()
            .any(|r| r.name == name && r.since <= self.version);
        if known { self.object.get(name) } else { None }
    }

    /// Returns the text; null counts as not given.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.text().map(str::to_owned)
    }

    /// Returns the text without the blanks around it; null counts as not given.
    pub(super) fn trimmed(&self, name: &str) -> Option<String> {
        Some(trim(self.get(name)?.text()?))
    }

    /// Returns the text without the blanks around it, telling null from not given.
    pub(super) fn change(&self, name: &str) -> Option<Option<String>> {
        Some(self.get(name)?.text().map(trim))
    }

    /// The same, under whichever of two names was given.
    pub(super) fn change_of(&self, name: &str, older: &str) -> Option<Option<String>> {
        self.change(name).or_else(|| self.change(older))
    }

    /// Returns the UUID; null counts as not given.
    pub(super) fn uuid(&self, name: &str) -> Option<Uuid> {
        uuid_like(self.get(name)?.text()?)
    }

    /// Returns the flag; null and not given are false.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(truth).unwrap_or(false)
    }

    /// Returns the pairs; null counts as not given.
    pub(super) fn metadata(&self, name: &str) -> Option<BTreeMap<String, String>> {
        Some(pairs(self.get(name)?.members()?))
    }

    /// Returns the size; null counts as not given.
    pub(super) fn size(&self, name: &str) -> Option<u32> {
        whole(self.get(name)?).and_then(|size| u32::try_from(size).ok())
    }
}

/// Returns the pairs of a checked object.
pub(super) fn pairs(members: &[(String, Json)]) -> BTreeMap<String, String> {
    members
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.text()?.to_owned())))
        .collect()
}

fn check_value(name: &str, kind: Kind, value: &Json) -> Result<(), Fault> {
    let bad = |message: &str| Err(refuse(name, value, message));
    match (kind, value) {
        (Kind::Text | Kind::Printable | Kind::Trimmed(_), Json::Null)
        | (
            Kind::FlagOrNull | Kind::MetadataOrNull | Kind::SizeOrNull | Kind::UuidOrNull,
            Json::Null,
        ) => Ok(()),
        (Kind::Uuid, Json::Text(text)) => match uuid_like(text) {
            Some(_) => Ok(()),
            None => bad(&format!("{} is not a 'uuid'", quoted(text))),
        },
        (Kind::Uuid, _) => bad(&wrong_type(value, "'string'")),
        (Kind::UuidOrNull, Json::Text(text)) if uuid_like(text).is_some() => Ok(()),
        (Kind::UuidOrNull, _) => bad(&no_schema(value)),
        (Kind::Trimmed(what), Json::Text(text)) => {
            let length = text.trim().chars().count();
            if length > MAX_TEXT {
                let reason = format!("{what} has {length} characters, more than {MAX_TEXT}.");
                return Err(Fault::invalid_input(reason));
            }
            Ok(())
        }
        (Kind::LongText, Json::Text(_)) => Ok(()),
        (Kind::ShortText, Json::Text(text)) if text.chars().count() <= MAX_TEXT => Ok(()),
        (Kind::ShortText, Json::Text(text)) => bad(&too_long(text)),
        (Kind::LongText | Kind::ShortText, _) => bad(&wrong_type(value, "'string'")),
        (Kind::Text | Kind::Printable, Json::Text(text)) => {
            if text.chars().count() > MAX_TEXT {
                return bad(&too_long(text));
            }
            if kind == Kind::Printable && !text.chars().all(is_printable) {
                return bad(&format!(
                    "{} holds characters that cannot be printed",
                    quoted(text)
                ));
            }
            Ok(())
        }
        (Kind::Text | Kind::Printable | Kind::Trimmed(_), _) => {
            bad(&wrong_type(value, "'string', 'null'"))
        }
        (Kind::Flag | Kind::FlagOrNull, Json::Bool(_)) => Ok(()),
        (Kind::Flag | Kind::FlagOrNull, Json::Text(text)) => match truth(value) {
            Some(_) => Ok(()),
            None => bad(&not_a_flag(text)),
        },
        (Kind::Flag, _) => bad(&wrong_type(value, "'boolean', 'string'")),
        (Kind::FlagOrNull, _) => bad(&wrong_type(value, "'boolean', 'string', 'null'")),
        (Kind::Metadata | Kind::MetadataOrNull, Json::Object(members)) => {
            check_metadata(name, value, members)
        }
        (Kind::Metadata, _) => bad(&wrong_type(value, "'object'")),
        (Kind::MetadataOrNull, _) => bad(&wrong_type(value, "'object', 'null'")),
        (Kind::Size | Kind::SizeOrNull, Json::Int(_) | Json::Text(_)) => match whole(value) {
            Some(size) if size < 1 => {
                bad(&format!("{} is less than the minimum of 1", value.repr()))
            }
            Some(size) if size > MAX_INT => bad(&format!(
                "{} is greater than the maximum of {MAX_INT}",
                value.repr()
            )),
            Some(_) => Ok(()),
            None => bad(&format!("{} does not match '^[0-9]+$'", value.repr())),
        },
        (Kind::Size, _) => bad(&wrong_type(value, "'integer', 'string'")),
        (Kind::SizeOrNull, _) => bad(&wrong_type(value, "'integer', 'string', 'null'")),
    }
}

/// Checks the pairs of `whole`, which is called `name`.
pub(super) fn check_metadata(
    name: &str,
    whole: &Json,
    members: &[(String, Json)],
) -> Result<(), Fault> {
    let (known, strange): (Vec<_>, Vec<_>) = members.iter().partition(|(key, _)| is_key(key));
    for (key, value) in known {
        match value.text() {
            Some(text) if text.chars().count() > MAX_TEXT => {
                return Err(refuse(key, value, &too_long(text)));
            }
            Some(_) => {}
            None => return Err(refuse(key, value, &wrong_type(value, "'string'"))),
        }
    }
    if strange.is_empty() {
        return Ok(());
    }
    let mut keys: Vec<String> = strange.iter().map(|(key, _)| quoted(key)).collect();
    keys.sort();
    let verb = if keys.len() == 1 { "does" } else { "do" };
    let message = format!(
        "{} {verb} not match any of the regexes: '{METADATA_KEY}'",
        keys.join(", ")
    );
    Err(refuse(name, whole, &message))
}

fn is_key(key: &str) -> bool {
    (1..=MAX_TEXT).contains(&key.len())
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_:. /".contains(&b))
}

/// Returns the whole number a value stands for.
fn whole(value: &Json) -> Option<i128> {
    match value {
        Json::Int(number) => Some(*number),
        Json::Text(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            // More digits than fit are as good as the largest number: out of range.
            Some(text.parse().unwrap_or(i128::MAX))
        }
        _ => None,
    }
}

fn truth(value: &Json) -> Option<bool> {
    match value {
        Json::Bool(flag) => Some(*flag),
        Json::Text(text) if YES.contains(&text.as_str()) => Some(true),
        Json::Text(text) if NO.contains(&text.as_str()) => Some(false),
        _ => None,
    }
}

/// Reads a UUID in any spelling that Python takes.
pub(super) fn uuid_like(text: &str) -> Option<Uuid> {
    let plain = text
        .to_ascii_lowercase()
        .replace("urn:", "")
        .replace("uuid:", "");
    let plain = plain.trim_matches(['{', '}']).replace('-', "");
    let fits = plain.len() == 32 && plain.bytes().all(|b| b.is_ascii_hexdigit());
    if fits {
        Uuid::parse_str(&plain).ok()
    } else {
        None
    }
}

fn trim(text: &str) -> String {
    text.trim().to_owned()
}

/// Tells what Cinder lets into a description: no controls, no private or invisible characters, none
/// beyond the basic plane.
fn is_printable(c: char) -> bool {
    let code = u32::from(c);
    !c.is_control()
        && code < 0xffff
        && !matches!(code, 0xad | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f)
        && !matches!(code, 0xe000..=0xf8ff | 0xfeff | 0xfff9..=0xfffb | 0xfffe)
}

/// Returns the refusal of one member.
pub(super) fn refuse(name: &str, value: &Json, message: &str) -> Fault {
    Fault::bad_request(format!(
        "Invalid input for field/attribute {name}. Value: {}. {message}",
        value.shown()
    ))
}

/// Says that `value` is of none of `types`.
pub(super) fn wrong_type(value: &Json, types: &str) -> String {
    format!("{} is not of type {types}", value.repr())
}

/// Says that `name` must be there.
pub(super) fn missing(name: &str) -> String {
    format!("{} is a required property", quoted(name))
}

/// Says that `value` fits nothing that it might be.
pub(super) fn no_schema(value: &Json) -> String {
    format!(
        "{} is not valid under any of the given schemas",
        value.repr()
    )
}

fn too_long(text: &str) -> String {
    format!("{} is too long", quoted(text))
}

fn not_a_flag(text: &str) -> String {
    let list = |words: &[&str]| {
        words
            .iter()
            .map(|w| quoted(w))
            .collect::<Vec<_>>()
            .join(", ")
    };
    format!(
        "{} is not one of [True, {}, False, {}]",
        quoted(text),
        list(&YES),
        list(&NO)
    )
}

/// Says which keys should not be there, if there are any.
pub(super) fn unexpected<'a>(keys: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut keys: Vec<&str> = keys.collect();
    keys.sort_unstable();
    let verb = match keys.len() {
        0 => return None,
        1 => "was",
        _ => "were",
    };
    let keys: Vec<String> = keys.into_iter().map(quoted).collect();
    Some(format!(
        "Additional properties are not allowed ({} {verb} unexpected)",
        keys.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_taken_in_any_spelling() {
        let want = uuid_like("b5578821-5a02-435d-9b3a-ef5b91b65eb7");
        assert!(want.is_some());
        for text in [
            "B55788215A02435D9B3AEF5B91B65EB7",
            "{b5578821-5a02-435d-9b3a-ef5b91b65eb7}",
            "urn:uuid:b5578821-5a02-435d-9b3a-ef5b91b65eb7",
            "b5578821-5a02435d9b3a-ef5b91b65eb7",
        ] {
            assert_eq!(uuid_like(text), want, "{text}");
        }
        for text in [
            "",
            "abc",
            "b55788215a02435d9b3aef5b91b65eb",
            "gg578821-5a02-435d-9b3a-ef5b91b65eb7",
        ] {
            assert_eq!(uuid_like(text), None, "{text}");
        }
    }

    #[test]
    fn values_are_refused_in_jsonschemas_words() {
        let long = format!("\"{}\"", "x".repeat(256));
        for (kind, json, want) in [
            (
                Kind::Text,
                "5",
                Some("Value: 5. 5 is not of type 'string', 'null'"),
            ),
            (Kind::Text, "null", None),
            (Kind::Text, "\"\"", None),
            (
                Kind::Printable,
                r#""a\tb""#,
                Some("'a\\tb' holds characters that cannot be printed"),
            ),
            (Kind::Printable, r#""Grüße – 漢字""#, None),
            (
                Kind::Uuid,
                "null",
                Some("Value: None. None is not of type 'string'"),
            ),
            (
                Kind::UuidOrNull,
                "\"abc\"",
                Some("'abc' is not valid under any of the given schemas"),
            ),
            (Kind::UuidOrNull, "null", None),
            (
                Kind::Flag,
                "null",
                Some("None is not of type 'boolean', 'string'"),
            ),
            (
                Kind::Flag,
                "1",
                Some("1 is not of type 'boolean', 'string'"),
            ),
            (Kind::Flag, "\"on\"", None),
            (
                Kind::Flag,
                "\"maybe\"",
                Some("'maybe' is not one of [True, 'True',"),
            ),
            (Kind::FlagOrNull, "null", None),
            (Kind::Metadata, "null", Some("None is not of type 'object'")),
            (Kind::MetadataOrNull, "null", None),
            (Kind::Metadata, r#"{"a b": "c:d", "x/y": ""}"#, None),
            (
                Kind::Metadata,
                r#"{"a": 1}"#,
                Some("field/attribute a. Value: 1. 1 is not of type 'string'"),
            ),
            (
                Kind::Metadata,
                r#"{"a%": "1"}"#,
                Some("'a%' does not match any of the regexes: '^[a-zA-Z0-9-_:. /]{1,255}$'"),
            ),
            (
                Kind::Metadata,
                r#"{"b%": "1", "": "2"}"#,
                Some("'', 'b%' do not match any of the regexes"),
            ),
            (Kind::Size, "1", None),
            (Kind::Size, "\"12\"", None),
            (Kind::Size, "0", Some("0 is less than the minimum of 1")),
            (Kind::Size, "-3", Some("-3 is less than the minimum of 1")),
            (
                Kind::Size,
                "3000000000",
                Some("3000000000 is greater than the maximum of 2147483647"),
            ),
            (
                Kind::Size,
                "\"1.5\"",
                Some("'1.5' does not match '^[0-9]+$'"),
            ),
            (
                Kind::Size,
                "1.5",
                Some("1.5 is not of type 'integer', 'string'"),
            ),
            (
                Kind::Size,
                "null",
                Some("None is not of type 'integer', 'string'"),
            ),
            (Kind::SizeOrNull, "null", None),
            (
                Kind::Trimmed("name"),
                &long,
                Some("Invalid input received: name has 256 characters, more than 255."),
            ),
            (Kind::Text, &long, Some("xxx' is too long")),
        ] {
            let value = Json::read(json.as_bytes()).expect(json);
            match (check_value("f", kind, &value), want) {
                (Ok(()), None) => {}
                (Err(fault), Some(want)) => assert!(
                    fault.message.contains(want),
                    "{kind:?} {json}: {}",
                    fault.message
                ),
                (got, want) => panic!("{kind:?} {json}: {got:?} instead of {want:?}"),
            }
        }
    }
}
