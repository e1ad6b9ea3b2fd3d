//! The rule that each shape on the wire is defined once, in `crates/wire`: the service writes no answer by
//! hand, and the SDK reads none with a type of its own; nor does the SDK send a request that it made
//! up (its calls take nothing but what `wire` lists, which the service's readers read back).
//!
//! Pure but for the reading of sources; takes a file's path and text, returns what is wrong.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// A rule: below this folder no file holds this word, but for those named, with the reason.
struct Rule {
    folder: &'static str,
    word: &'static str,
    instead: &'static str,
    but: &'static [(&'static str, &'static str)],
}

const RULES: [Rule; 4] = [
    Rule {
        folder: "crates/http/src",
        word: "json!",
        instead: "answer with a type of crates/wire",
        but: &[
            (
                "openapi",
                "schemas are JSON themselves, and no answer of an API",
            ),
            (
                "guard.rs",
                "refuses in every API's form at once, before any of them is asked",
            ),
            ("json.rs", "only reads; the word is in its tests"),
        ],
    },
    Rule {
        folder: "crates/http/src",
        word: "derive(Serialize",
        instead: "put the shape into crates/wire",
        but: &[],
    },
    Rule {
        folder: "crates/sdk/src",
        word: "Deserialize)",
        instead: "read it with a type of crates/wire",
        but: &[
            (
                "auth.rs",
                "of a token only what signing in needs: clouds leave the rest out",
            ),
            (
                "connection/discovery.rs",
                "of a version only its number: clouds leave the rest out",
            ),
            ("cloud/files.rs", "clouds.yaml is no answer"),
        ],
    },
    Rule {
        folder: "crates/sdk/src",
        word: "json!",
        instead: "send a request of crates/wire",
        but: &[("auth.rs", "the word is in its tests")],
    },
];

/// Returns what breaks the rules, a line each.
pub(crate) fn hand_made(root: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for rule in &RULES {
        let folder = root.join(rule.folder);
        let mut open = vec![folder.clone()];
        while let Some(place) = open.pop() {
            for entry in fs::read_dir(&place).with_context(|| place.display().to_string())? {
                let path = entry?.path();
                if path.is_dir() {
                    open.push(path);
                } else if let Ok(within) = path.strip_prefix(&folder) {
                    let within = within.to_string_lossy();
                    broken.extend(rule.broken_by(&within, &fs::read_to_string(&path)?));
                }
            }
        }
    }
    broken.sort();
    Ok(broken)
}

impl Rule {
    fn broken_by(&self, file: &str, text: &str) -> Vec<String> {
        if self.but.iter().any(|(name, _)| is_or_is_below(file, name)) {
            return Vec::new();
        }
        let lines = text.lines().enumerate();
        lines
            .filter(|(_, line)| line.contains(self.word) && !line.trim_start().starts_with("//"))
            .map(|(at, _)| {
                format!(
                    "{}/{file}:{}: `{}` stands here; {}",
                    self.folder,
                    at + 1,
                    self.word,
                    self.instead
                )
            })
            .collect()
    }
}

/// Tells whether a file is the one named, or in the folder of that name, or the root of it.
fn is_or_is_below(file: &str, name: &str) -> bool {
    file == name
        || file.strip_suffix(".rs") == Some(name)
        || file
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_by_hand_is_found() {
        let [http, _, sdk, asked] = &RULES;
        for (what, rule, file, text, want) in [
            (
                "an answer by hand",
                http,
                "cbr/vaults.rs",
                "Ok(json!({}))",
                1,
            ),
            (
                "said in a comment",
                http,
                "cbr/vaults.rs",
                "/// not `json!`",
                0,
            ),
            ("a schema", http, "openapi/schema.rs", "json!({})", 0),
            ("the schemas' root", http, "openapi.rs", "json!({})", 0),
            (
                "a like name",
                http,
                "openapis.rs",
                "json!({})\njson!({})",
                2,
            ),
            (
                "a type of its own",
                sdk,
                "cbr/tags.rs",
                "#[derive(Deserialize)]",
                1,
            ),
            (
                "a request by hand",
                asked,
                "cbr/tags.rs",
                "Call::post(path, json!({}))",
                1,
            ),
            (
                "what signing in needs",
                sdk,
                "auth.rs",
                "#[derive(Deserialize)]",
                0,
            ),
        ] {
            assert_eq!(rule.broken_by(file, text).len(), want, "{what}");
        }
    }

    #[test]
    fn the_sources_keep_the_rules() {
        let found = hand_made(&crate::process::root()).expect("sources");
        assert!(found.is_empty(), "{found:#?}");
    }
}
