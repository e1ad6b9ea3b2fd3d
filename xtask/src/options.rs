//! Command-line options of the form `--name value`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

/// Options without a value; all others take one.
const SWITCHES: [&str; 1] = ["keep"];

/// What was given on the command line.
#[derive(Debug, Default)]
pub(crate) struct Options(BTreeMap<String, String>);

impl Options {
    /// Reads them, or says which one is wrong.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut found = BTreeMap::new();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let Some(name) = argument.strip_prefix("--") else {
                bail!("`{argument}` is not an option");
            };
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None if SWITCHES.contains(&name) => (name, String::new()),
                None => (
                    name,
                    arguments
                        .next()
                        .with_context(|| format!("--{name} wants a value"))?,
                ),
            };
            found.insert(name.to_owned(), value);
        }
        Ok(Self(found))
    }

    /// Refuses options that the command does not know.
    pub(crate) fn only(&self, known: &[&str]) -> Result<()> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => bail!("this command has no option --{name}"),
            None => Ok(()),
        }
    }

    /// Returns the value of an option, if it was given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the value as a number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>> {
        self.get(name)
            .map(|value| {
                value
                    .parse()
                    .with_context(|| format!("--{name} wants a number, not `{value}`"))
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(line: &str) -> anyhow::Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn forms() {
        let options = parse("--only e2e --rounds=7 --keep").unwrap();
        assert_eq!(options.get("only"), Some("e2e"));
        assert_eq!(options.number("rounds").unwrap(), Some(7));
        assert_eq!(options.get("keep"), Some(""));
        assert_eq!(options.number("seed").unwrap(), None);
    }

    #[test]
    fn refusals() {
        for (what, line) in [("no dashes", "e2e"), ("no value", "--only")] {
            assert!(parse(line).is_err(), "{what}");
        }
        assert!(parse("--rounds x").unwrap().number("rounds").is_err());
        assert!(parse("--colour red").unwrap().only(&["only"]).is_err());
    }
}
