//! The metadata resource of volumes and snapshots.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::schema::{check_metadata, missing, pairs, refuse, wrong_type};
use super::{Fault, Json};

/// All pairs of something, as they come and go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MetadataBody {
    /// The pairs.
    pub metadata: BTreeMap<String, String>,
}

/// One pair of something, as it comes and goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MetaBody {
    /// The pair.
    pub meta: BTreeMap<String, String>,
}

impl MetadataBody {
    /// Reads the body of a request.
    pub fn read(body: &Json) -> Result<Self, Fault> {
        let metadata = parse_pairs(body, "metadata")?;
        Ok(Self { metadata })
    }
}

/// Reads `{"meta": {key: value}}`, which must hold the key that the path names.
pub fn parse_meta_item(body: &Json, key: &str) -> Result<String, Fault> {
    let mut pairs = parse_pairs(body, "meta")?;
    let inner = body.get("meta").unwrap_or(&Json::Null);
    let amount = match pairs.len() {
        0 => "should be non-empty",
        1 => "",
        _ => "has too many properties",
    };
    if !amount.is_empty() {
        let text = format!("{} {amount}", inner.repr());
        return Err(refuse("meta", inner, &text));
    }
    pairs
        .remove(key)
        .ok_or_else(|| Fault::bad_request("Request body and URI mismatch"))
}

fn parse_pairs(body: &Json, key: &str) -> Result<BTreeMap<String, String>, Fault> {
    if body.members().is_none() {
        return Err(Fault::bad_request(wrong_type(body, "'object'")));
    }
    let Some(inner) = body.get(key) else {
        return Err(Fault::bad_request(missing(key)));
    };
    let Some(members) = inner.members() else {
        return Err(refuse(key, inner, &wrong_type(inner, "'object'")));
    };
    check_metadata(key, inner, members)?;
    Ok(pairs(members))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_or_all_of_them() {
        let read = |text: &str| Json::read(text.as_bytes()).expect(text);
        let all =
            MetadataBody::read(&read(r#"{"metadata": {"a": "1", "b": ""}}"#)).expect("is good");
        assert_eq!(all.metadata.len(), 2);
        assert_eq!(
            parse_meta_item(&read(r#"{"meta": {"a": "1"}}"#), "a"),
            Ok("1".to_owned())
        );
        for (body, want) in [
            (r#"{"meta": {"b": "1"}}"#, "Request body and URI mismatch"),
            (
                r#"{"meta": {"a": "1", "b": "2"}}"#,
                "Invalid input for field/attribute meta. Value: {'a': '1', 'b': '2'}. \
                 {'a': '1', 'b': '2'} has too many properties",
            ),
            (r#"{}"#, "'meta' is a required property"),
            (
                r#"{"meta": null}"#,
                "Invalid input for field/attribute meta. Value: None. None is not of type 'object'",
            ),
            (r#"[]"#, "[] is not of type 'object'"),
        ] {
            assert_eq!(
                parse_meta_item(&read(body), "a"),
                Err(Fault::bad_request(want)),
                "{body}"
            );
        }
    }
}
