//! Which row a path names.

use std::sync::LazyLock;

use axum::http::Method;
use matchit::Router;

use super::row::{CinderRow, Document, Named};
use super::rows::{documents, table};
use crate::endpoint::{Row, Verb};

/// What a request is for.
pub(super) enum Place {
    /// A document that everybody may read.
    Document(&'static Row<Document>),
    /// A resource of v3.
    Api {
        /// The project, if the path names it.
        project: Option<String>,
        /// What answers.
        row: &'static CinderRow,
        /// What the row leaves open.
        named: Named,
    },
}

/// The rows of one path.
struct Path {
    parts: Vec<String>,
    rows: Vec<CinderRow>,
}

static DOCUMENTS: LazyLock<Vec<Row<Document>>> = LazyLock::new(documents);

static PATHS: LazyLock<Router<Path>> = LazyLock::new(|| {
    let mut paths: Vec<(String, Vec<CinderRow>)> = Vec::new();
    for row in table() {
        match paths
            .iter_mut()
            .find(|(path, _)| *path == row.endpoint.path)
        {
            Some((_, rows)) => rows.push(row),
            None => paths.push((row.endpoint.path.clone(), vec![row])),
        }
    }
    let mut router = Router::new();
    for (path, rows) in paths {
        let parts = path.split('/').skip(1).map(str::to_owned).collect();
        #[allow(
            clippy::expect_used,
            reason = "the table is fixed, and a test reads it"
        )]
        router
            .insert(path, Path { parts, rows })
            .expect("paths of the table do not contradict each other");
    }
    router
});

/// The part whose text is a key: it may end in `.json`, which elsewhere at the end of a path means nothing.
const KEY: &str = "{key}";

impl Place {
    /// Finds what a request is for; `None` if nothing takes this method here.
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        let verb = Verb::of(method)?;
        // The mounted root is reached with a slash and without.
        let whole = if path.is_empty() { "/" } else { path };
        let document =
            |row: &&Row<Document>| row.endpoint.path == whole && row.endpoint.verb == verb;
        if let Some(row) = DOCUMENTS.iter().find(document) {
            return Some(Self::Document(row));
        }
        // A slash at the end names a thing without a name: Cinder has none, and clients wait for that 404.
        let parts: Vec<String> = path.strip_prefix("/v3/")?.split('/').map(decoded).collect();
        if let Some((found, named)) = find(&parts) {
            return found.answering(verb, None, named);
        }
        let (project, rest) = parts.split_first()?;
        let is_project = !project.is_empty()
            && project
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        let (found, named) = find(rest).filter(|_| is_project)?;
        found.answering(verb, Some(project.clone()), named)
    }
}

impl Path {
    fn answering(
        &'static self,
        verb: Verb,
        project: Option<String>,
        named: Named,
    ) -> Option<Place> {
        let row = self.rows.iter().find(|row| row.endpoint.verb == verb)?;
        Some(Place::Api {
            project,
            row,
            named,
        })
    }
}

/// Finds the path of the table that these parts are, and what it leaves open.
fn find(parts: &[String]) -> Option<(&'static Path, Named)> {
    if parts.iter().any(String::is_empty) {
        return None;
    }
    let (last, first) = parts.split_last()?;
    let plain = last.strip_suffix(".json").unwrap_or(last);
    let mut text = String::new();
    for part in first.iter().map(String::as_str).chain([plain]) {
        text.push('/');
        // A slash that was escaped divides nothing; what a part says is taken from `parts`.
        text.extend(part.chars().map(|c| if c == '/' { '_' } else { c }));
    }
    let found = PATHS.at(&text).ok()?.value;
    let open = found.parts.iter().zip(parts).enumerate();
    let open = open.filter(|(_, (pattern, _))| pattern.starts_with('{'));
    let named = open.map(|(at, (pattern, part))| {
        let is_last = at + 1 == parts.len();
        if is_last && pattern != KEY {
            plain.to_owned()
        } else {
            part.clone()
        }
    });
    let named = Named(named.collect());
    Some((found, named))
}

/// Resolves `%20` and the like; what is no such escape stays.
fn decoded(part: &str) -> String {
    let bytes = part.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells the project, the row's path and what it leaves open, in one line.
    fn read(method: &Method, path: &str) -> String {
        match Place::of(method, path) {
            None => "-".to_owned(),
            Some(Place::Document(row)) => format!("document {}", row.endpoint.path),
            Some(Place::Api {
                project,
                row,
                named,
            }) => {
                let project = project.unwrap_or_else(|| "-".to_owned());
                format!("{project} {} {:?}", row.endpoint.path, named.0)
            }
        }
    }

    #[test]
    fn paths_are_read_with_and_without_the_project() {
        for (path, want) in [
            ("/", "document /"),
            ("", "document /"),
            ("/v3", "document /v3"),
            ("/v3/", "document /v3/"),
            ("/v2/", "-"),
            ("/healthcheck", "document /healthcheck"),
            ("/v3/backups", "- /backups []"),
            ("/v3/backups.json", "- /backups []"),
            ("/v3/%62ackups", "- /backups []"),
            ("/v3/backups/", "-"),
            ("/v3/p/backups/", "-"),
            ("/v3//backups", "-"),
            ("/v3/0a-1/backups/detail", "0a-1 /backups/detail []"),
            ("/v3/backups/detail.json", "- /backups/detail []"),
            (
                "/v3/backups/details",
                r#"- /backups/{backup_id} ["details"]"#,
            ),
            ("/v3/0a/backups/b1", r#"0a /backups/{backup_id} ["b1"]"#),
            (
                "/v3/0a/backups/b1.json",
                r#"0a /backups/{backup_id} ["b1"]"#,
            ),
            ("/v3/0a/backups/b1/restore", "-"),
            (
                "/v3/0a/backups/my%20b%C3%BC",
                r#"0a /backups/{backup_id} ["my bü"]"#,
            ),
            ("/v3/0a/backups/a%2Fb", r#"0a /backups/{backup_id} ["a/b"]"#),
            (
                "/v3/0a/backups/b1/export_record",
                r#"0a /backups/{backup_id}/export_record ["b1"]"#,
            ),
            (
                "/v3/0a/backups/import_record",
                "0a /backups/import_record []",
            ),
            (
                "/v3/backups/b1/metadata",
                r#"- /backups/{backup_id}/metadata ["b1"]"#,
            ),
            ("/v3/backups//metadata", "-"),
            ("/v3/volumes/summary", "- /volumes/summary []"),
            (
                "/v3/types/b1/extra_specs/a.json",
                r#"- /types/{type_id}/extra_specs/{key} ["b1", "a.json"]"#,
            ),
            ("/v3/types/b1/extra_specs/.json", "-"),
            ("/v3/backups/b1/nonsense", "-"),
            ("/v3/zz/backups", "-"),
            ("/v3/0a", "-"),
            (
                "/v3/volumes/b1/metadata",
                r#"- /volumes/{volume_id}/metadata ["b1"]"#,
            ),
            (
                "/v3/snapshots/b1/metadata/k.json",
                r#"- /snapshots/{snapshot_id}/metadata/{key} ["b1", "k.json"]"#,
            ),
            ("/v3/types/default", r#"- /types/{type_id} ["default"]"#),
            ("/v3/0a/limits", "0a /limits []"),
        ] {
            assert_eq!(read(&Method::GET, path), want, "{path}");
        }
    }

    #[test]
    fn a_path_takes_the_methods_of_its_rows() {
        for (path, methods) in [
            ("/v3/backups", "GET POST"),
            ("/v3/0a/backups/b1/restore", "POST"),
            ("/v3/backups/b1", "GET PUT DELETE"),
            ("/v3/backups/b1/metadata/k", "GET POST PUT DELETE"),
            ("/v3/volumes/b1/metadata/k", "GET PUT DELETE"),
            ("/v3/os-services/enable", "PUT"),
            ("/v3", "GET"),
        ] {
            for method in [
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
                Method::TRACE,
            ] {
                let takes = Place::of(&method, path).is_some();
                assert_eq!(takes, methods.contains(method.as_str()), "{method} {path}");
            }
        }
    }

    #[test]
    fn escapes_that_are_none_stay() {
        for (part, want) in [
            ("a%", "a%"),
            ("a%2", "a%2"),
            ("%zz", "%zz"),
            ("%2541", "%41"),
        ] {
            assert_eq!(decoded(part), want);
        }
    }
}
