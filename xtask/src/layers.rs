//! The rules that dependencies between the crates obey, checked on cargo's own graph.
//!
//! Pure: takes what `cargo tree` printed, returns what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

/// The crates from the bottom up: each may use those before it only.
const ORDER: [&str; 19] = [
    "model",
    "format",
    "plan",
    "wire",
    "objects",
    "store",
    "catalog",
    "keys",
    "nbd",
    "volumes",
    "chunked",
    "engine",
    "service",
    "sdk",
    "cloud",
    "http",
    "server",
    "cli",
    "emberkeep",
];

/// Crates that compute only: whatever they lead to must be free of these.
const PURE: [&str; 5] = ["model", "format", "plan", "wire", "objects"];
const IMPURE: [&str; 9] = [
    "tokio",
    "sqlx",
    "sqlx-core",
    "tracing",
    "log",
    "reqwest",
    "hyper",
    "axum",
    "mio",
];

/// Crates with a fixed set of neighbours in the workspace.
const STANDS_ON: [(&str, &[&str]); 2] = [("sdk", &["model", "wire"]), ("emberkeep", &["cli"])];

/// Crates that only the named ones may use.
const USED_BY: [(&str, &[&str]); 3] = [
    ("server", &["cli"]),
    ("cli", &["emberkeep"]),
    ("testkit", &[]),
];

/// Packages that must not be in the product at all, with the reason.
const BANNED: [(&str, &str); 2] = [
    (
        "ring",
        "one cryptographic library is enough, and it is aws-lc",
    ),
    (
        "openssl-sys",
        "TLS is rustls, so that the binary stands alone",
    ),
];

/// Which package uses which, in what is shipped: no dev-dependencies.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    uses: BTreeMap<String, BTreeSet<String>>,
    members: BTreeSet<String>,
}

impl Graph {
    /// Reads what `cargo tree --workspace --edges normal --prefix depth` prints: not `cargo metadata`,
    /// whose graph holds optional packages that no feature asks for.
    pub(crate) fn read(tree: &str) -> Result<Self> {
        let mut graph = Self::default();
        let mut path: Vec<String> = Vec::new();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let digits = line.bytes().take_while(u8::is_ascii_digit).count();
            let (depth, package) = line.split_at(digits);
            let depth: usize = depth
                .parse()
                .with_context(|| format!("no depth in `{line}`"))?;
            let name = short(package.split(' ').next().unwrap_or_default()).to_owned();
            path.truncate(depth);
            match path.last() {
                None => {
                    graph.members.insert(name.clone());
                }
                // Two versions of one package count as one: the rules do not tell them apart.
                Some(user) => {
                    graph
                        .uses
                        .entry(user.clone())
                        .or_default()
                        .insert(name.clone());
                }
            }
            path.push(name);
        }
        Ok(graph)
    }

    fn all_below(&self, name: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut open = vec![name];
        while let Some(next) = open.pop() {
            for used in self.uses.get(next).into_iter().flatten() {
                if seen.insert(used.as_str()) {
                    open.push(used);
                }
            }
        }
        seen
    }

    /// Returns each broken rule as a line for people.
    pub(crate) fn broken_rules(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for member in self
            .members
            .iter()
            .filter(|name| !name.starts_with("xtask"))
        {
            let neighbours: Vec<&str> = self
                .uses
                .get(member)
                .into_iter()
                .flatten()
                .map(String::as_str)
                .filter(|used| self.members.contains(*used))
                .collect();
            self.check_neighbours(member, &neighbours, &mut broken);
            if PURE.contains(&member.as_str()) {
                for used in self
                    .all_below(member)
                    .into_iter()
                    .filter(|used| IMPURE.contains(used))
                {
                    broken.push(format!("{member} is pure and must not lead to {used}"));
                }
            }
        }
        if let Some(used) = self
            .all_below("xtask")
            .into_iter()
            .find(|used| self.members.contains(*used))
        {
            broken.push(format!(
                "xtask must not lead to {used}: lints and tests begin without building the product"
            ));
        }
        let shipped = self.all_below("emberkeep");
        for (name, reason) in BANNED {
            if shipped.contains(name) {
                broken.push(format!("{name} must not be in the product: {reason}"));
            }
        }
        broken
    }

    fn check_neighbours(&self, member: &str, neighbours: &[&str], broken: &mut Vec<String>) {
        let place = |name: &str| ORDER.iter().position(|other| *other == name);
        if member != "testkit" && place(member).is_none() {
            broken.push(format!("{member} has no place in the order of crates yet: give it one in xtask/src/layers.rs"));
        }
        for used in neighbours {
            if let (Some(own), Some(other)) = (place(member), place(used))
                && other >= own
            {
                broken.push(format!(
                    "{member} must not use {used}, which stands above it"
                ));
            }
            for (name, users) in USED_BY {
                if *used == name && !users.contains(&member) {
                    broken.push(format!("{member} must not use {used} (tests may)"));
                }
            }
            for (name, allowed) in STANDS_ON {
                if member == name && !allowed.contains(used) {
                    broken.push(format!(
                        "{member} stands on {} alone and must not use {used}",
                        allowed.join(", ")
                    ));
                }
            }
        }
    }
}

fn short(package: &str) -> &str {
    package.strip_prefix("emberkeep-").unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::Graph;

    fn graph(edges: &[(&str, &[&str])]) -> Graph {
        let mut graph = Graph::default();
        for (name, used) in edges {
            graph.uses.insert(
                (*name).to_owned(),
                used.iter().map(|used| (*used).to_owned()).collect(),
            );
            if !["tokio", "hyper", "ring", "rustls"].contains(name) {
                graph.members.insert((*name).to_owned());
            }
        }
        graph
    }

    #[test]
    fn rules() {
        for (what, edges, want) in [
            (
                "as it should be",
                &[
                    ("model", &[][..]),
                    ("store", &["model", "tokio"]),
                    ("engine", &["store"]),
                ][..],
                None,
            ),
            (
                "upwards",
                &[("store", &["engine"]), ("engine", &[])],
                Some("store must not use engine"),
            ),
            (
                "a pure crate with tokio",
                &[("plan", &["tokio"])],
                Some("plan is pure"),
            ),
            (
                "the same further down",
                &[("wire", &["hyper"]), ("hyper", &["tokio"])],
                Some("must not lead to tokio"),
            ),
            (
                "the sdk on more than wire",
                &[("sdk", &["plan"]), ("plan", &[])],
                Some("sdk stands on model, wire alone"),
            ),
            (
                "the server used from below",
                &[("http", &["server"]), ("server", &[])],
                Some("http must not use server"),
            ),
            (
                "testkit shipped",
                &[("engine", &["testkit"]), ("testkit", &[])],
                Some("(tests may)"),
            ),
            (
                "banned",
                &[("emberkeep", &["rustls"]), ("rustls", &["ring"])],
                Some("ring must not be in the product"),
            ),
            (
                "the tool links the product",
                &[("xtask", &["model"]), ("model", &[])],
                Some("xtask must not lead to model"),
            ),
            ("unknown", &[("helper", &[])], Some("has no place")),
        ] {
            let broken = graph(edges).broken_rules();
            match want {
                None => assert!(broken.is_empty(), "{what}: {broken:?}"),
                Some(words) => assert!(
                    broken.iter().any(|line| line.contains(words)),
                    "{what}: {broken:?}"
                ),
            }
        }
    }

    #[test]
    fn reading_a_tree() {
        let tree = "0emberkeep-engine v0.1.0 (/w/crates/engine)\n1emberkeep-model v0.1.0 (/w/crates/model)\n\
                    2serde v1.0.1\n1zstd v0.14.0\n\n0emberkeep-model v0.1.0 (/w/crates/model) (*)\n";
        let graph = Graph::read(tree).unwrap();
        assert_eq!(
            graph.members.iter().collect::<Vec<_>>(),
            ["engine", "model"]
        );
        assert_eq!(
            graph.uses["engine"].iter().collect::<Vec<_>>(),
            ["model", "zstd"]
        );
        assert_eq!(graph.uses["model"].iter().collect::<Vec<_>>(), ["serde"]);
        assert_eq!(graph.broken_rules(), Vec::<String>::new());
        assert!(Graph::read("emberkeep v0.1.0").is_err());
    }
}
