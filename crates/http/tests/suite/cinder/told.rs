//! How the tables of states and requests are told.

use uuid::Uuid;

/// Takes the ids out of a text.
pub(crate) fn without_ids(text: &str) -> String {
    let parts = text.split_inclusive(|c: char| !(c.is_ascii_hexdigit() || c == '-'));
    let is_id = |word: &str| word.len() == 36 && Uuid::parse_str(word).is_ok();
    parts
        .map(|part| {
            let word = part.trim_end_matches(|c: char| !(c.is_ascii_hexdigit() || c == '-'));
            if is_id(word) {
                part.replace(word, "{id}")
            } else {
                part.to_owned()
            }
        })
        .collect()
}

/// How an event ends, and the states that it ends so from.
type End = (String, Vec<String>);

/// Lists for each event which states end how: states that end alike share a line.
#[derive(Default)]
pub(crate) struct Table(Vec<(String, Vec<End>)>);

impl Table {
    /// Notes how one state ends.
    pub(crate) fn note(&mut self, event: &str, state: &str, end: String) {
        if self.0.last().is_none_or(|(name, _)| name != event) {
            self.0.push((event.to_owned(), Vec::new()));
        }
        let Some((_, ends)) = self.0.last_mut() else {
            return;
        };
        // Where nothing changes that is said as such, so that states share the line.
        let end = match end.strip_suffix(&format!(", now {state}")) {
            Some(code) => format!("{code}, as before"),
            None => end.replace(&format!("\"{state}\""), "\"{status}\""),
        };
        let end = end
            .replace(&format!("status is: {state}."), "status is: {status}.")
            .replace(&format!("status is {state}."), "status is {status}.")
            .replace(&format!("currently {state}."), "currently {status}.")
            .replace(&format!("status of: {state} "), "status of: {status} ")
            .replace(&format!("in {state} status"), "in {status} status")
            .replace(&format!("status {state}."), "status {status}.")
            .replace(&format!("status {state} not"), "status {status} not");
        match ends.iter_mut().find(|(known, _)| *known == end) {
            Some((_, states)) => states.push(state.to_owned()),
            None => ends.push((end, vec![state.to_owned()])),
        }
    }

    /// Tells the whole table.
    pub(crate) fn told(&self) -> String {
        let mut told = String::new();
        for (event, ends) in &self.0 {
            told.push_str(&format!("{event}\n"));
            for (end, states) in ends {
                told.push_str(&format!("    {}\n        -> {end}\n", states.join(", ")));
            }
        }
        told
    }
}
