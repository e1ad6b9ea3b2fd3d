//! What commands print: tables for people, JSON for programs, bare values for shells.

mod escape;
mod sort;

use std::io::{self, IsTerminal, Write};

use clap::{Args, ValueEnum};
use comfy_table::{ColumnConstraint, ContentArrangement, Table};
use emberkeep_sdk::Moment;
use serde::Serialize;
use serde_json::Value;

use crate::error::CliError;
pub(crate) use escape::escape;
use escape::escape_json;

/// The forms output can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// Everything that is known, for programs.
    Json,
    /// The same, for programs and people.
    Yaml,
    /// Bare values, a tab between columns, one line an item (or a field).
    Value,
}

/// The output options of a command.
#[derive(Debug, Clone, Default, Args)]
pub struct OutputArgs {
    /// How to print: a table, JSON or YAML with every field, or bare values
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        global = true,
        help_heading = "Output"
    )]
    output: Format,
    /// Print this column or field only (`billing.used` for one within another); may be given several times
    #[arg(
        short = 'c',
        long = "column",
        value_name = "NAME",
        global = true,
        help_heading = "Output"
    )]
    columns: Vec<String>,
    /// Order a list by columns or fields, e.g. `status,created_at:desc` or `billing.used:desc`
    #[arg(
        long,
        value_name = "KEY[:desc],…",
        global = true,
        help_heading = "Output"
    )]
    sort: Option<String>,
}

/// One column of a table, or one field of a record.
pub(crate) struct Column<T> {
    key: &'static str,
    title: &'static str,
    show: fn(&T) -> String,
}

/// Declares a column: its name for `-c`, its heading, and how a value is shown.
pub(crate) const fn column<T>(
    key: &'static str,
    title: &'static str,
    show: fn(&T) -> String,
) -> Column<T> {
    Column { key, title, show }
}

enum Chosen<'a, T> {
    Column(&'a Column<T>),
    /// A field that only JSON has.
    Field(&'a str),
}

impl<T: Serialize> Chosen<'_, T> {
    fn title(&self) -> &str {
        match self {
            Self::Column(column) => column.title,
            Self::Field(name) => name,
        }
    }

    fn key(&self) -> &str {
        match self {
            Self::Column(column) => column.key,
            Self::Field(name) => name,
        }
    }

    /// Shows a value for people.
    fn show(&self, item: &T, json: &Value) -> String {
        match self {
            Self::Column(column) => (column.show)(item),
            Self::Field(name) => bare(field(json, name).unwrap_or(&Value::Null)),
        }
    }

    /// Returns a value to be ordered by: a column that is no plain field counts as it is shown.
    fn rank(&self, item: &T, json: &Value) -> Value {
        match (self, field(json, self.key())) {
            (Self::Column(column), None | Some(Value::Array(_) | Value::Object(_))) => {
                Value::String((column.show)(item))
            }
            (_, value) => value.cloned().unwrap_or_default(),
        }
    }

    /// Returns a value as programs have it: bytes as a number, not as `1.5 GiB`.
    fn value(&self, item: &T, json: &Value) -> String {
        match field(json, self.key()) {
            Some(plain) if !plain.is_array() && !plain.is_object() => bare(plain),
            _ => self.show(item, json),
        }
    }
}

fn bare(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Where and how a command prints.
#[derive(Debug, Clone)]
pub struct Output {
    format: Format,
    columns: Vec<String>,
    sort: Vec<sort::By>,
    /// The widest a line of a table may be; none when nobody looks at it.
    width: Option<u16>,
}

impl Output {
    /// Prints to standard output as the options say.
    pub fn new(args: &OutputArgs) -> Self {
        Self {
            format: args.output,
            columns: args.columns.clone(),
            sort: args.sort.as_deref().map(sort::keys).unwrap_or_default(),
            width: width(),
        }
    }

    /// Returns the form that was asked for.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Prints many items.
    pub(crate) fn list<T: Serialize>(
        &self,
        columns: &[Column<T>],
        items: &[T],
    ) -> Result<(), CliError> {
        print(&self.render_list(columns, items)?)
    }

    /// Prints one item, a line for each field.
    pub(crate) fn record<T: Serialize>(
        &self,
        fields: &[Column<T>],
        item: &T,
    ) -> Result<(), CliError> {
        print(&self.render_record(fields, item)?)
    }

    /// Prints what was done: `words` for people, `item` for programs, `value` for shells.
    pub(crate) fn done(
        &self,
        words: &str,
        value: &str,
        item: &impl Serialize,
    ) -> Result<(), CliError> {
        match self.format {
            Format::Table => print(&format!("{}\n", escape(words))),
            Format::Json => print(&pretty(&to_json(item)?)),
            Format::Yaml => print(&yaml(&to_json(item)?)?),
            Format::Value => print(&to_terminal(format!("{value}\n"))),
        }
    }

    fn render_list<T: Serialize>(
        &self,
        columns: &[Column<T>],
        items: &[T],
    ) -> Result<String, CliError> {
        let mut rows = items
            .iter()
            .map(|item| Ok((item, to_json(item)?)))
            .collect::<Result<Vec<_>, CliError>>()?;
        let chosen = self.choose(columns, rows.first().map(|(_, json)| json))?;
        self.order(columns, &mut rows)?;
        let all = || {
            Value::Array(
                rows.iter()
                    .map(|(_, item)| self.reduce(&chosen, item))
                    .collect(),
            )
        };
        let lines = |show: fn(&Chosen<'_, T>, &T, &Value) -> String| {
            let rows = rows.iter().map(|(item, json)| {
                chosen
                    .iter()
                    .map(|column| show(column, item, json))
                    .collect::<Vec<_>>()
            });
            rows.collect::<Vec<_>>()
        };
        Ok(match self.format {
            Format::Json => pretty(&all()),
            Format::Yaml => yaml(&all())?,
            Format::Value => lines(|column, item, json| to_terminal(column.value(item, json)))
                .iter()
                .map(|row| row.join("\t") + "\n")
                .collect(),
            Format::Table => {
                let titles: Vec<_> = chosen
                    .iter()
                    .map(|column| column.title().to_owned())
                    .collect();
                self.table(titles, lines(|column, item, json| column.show(item, json)))
            }
        })
    }

    fn render_record<T: Serialize>(
        &self,
        fields: &[Column<T>],
        item: &T,
    ) -> Result<String, CliError> {
        let json = to_json(item)?;
        let chosen = self.choose(fields, Some(&json))?;
        Ok(match self.format {
            Format::Json => pretty(&self.reduce(&chosen, &json)),
            Format::Yaml => yaml(&self.reduce(&chosen, &json))?,
            Format::Value => chosen
                .iter()
                .map(|field| to_terminal(field.value(item, &json)) + "\n")
                .collect(),
            Format::Table => {
                let rows = chosen
                    .iter()
                    .map(|field| vec![field.title().to_owned(), field.show(item, &json)])
                    .collect();
                self.table(vec!["Field".to_owned(), "Value".to_owned()], rows)
            }
        })
    }

    /// Puts rows in the order asked for; else they stay as they came.
    fn order<T: Serialize>(
        &self,
        columns: &[Column<T>],
        rows: &mut [(&T, Value)],
    ) -> Result<(), CliError> {
        let Some((_, sample)) = rows.first() else {
            return Ok(());
        };
        let mut keys = Vec::with_capacity(self.sort.len());
        for wanted in &self.sort {
            let key = find(columns, Some(sample), &wanted.key)?;
            keys.push((key, wanted.descending));
        }
        let mut told: Vec<_> = rows
            .iter()
            .map(|(item, json)| {
                let values: Vec<_> = keys.iter().map(|(key, _)| key.rank(item, json)).collect();
                (values, (*item, json.clone()))
            })
            .collect();
        let descending: Vec<_> = keys.iter().map(|(_, descending)| *descending).collect();
        told.sort_by(|(a, _), (b, _)| sort::compare(&descending, a, b));
        for (row, (_, sorted)) in rows.iter_mut().zip(told) {
            *row = sorted;
        }
        Ok(())
    }

    fn choose<'a, T>(
        &'a self,
        columns: &'a [Column<T>],
        sample: Option<&Value>,
    ) -> Result<Vec<Chosen<'a, T>>, CliError> {
        if self.columns.is_empty() {
            return Ok(columns.iter().map(Chosen::Column).collect());
        }
        self.columns
            .iter()
            .map(|name| find(columns, sample, name))
            .collect()
    }

    /// Keeps of a JSON object what was chosen; everything if nothing was.
    fn reduce<T: Serialize>(&self, chosen: &[Chosen<'_, T>], json: &Value) -> Value {
        if self.columns.is_empty() {
            return json.clone();
        }
        chosen
            .iter()
            .map(|column| {
                (
                    column.key().to_owned(),
                    field(json, column.key()).cloned().unwrap_or_default(),
                )
            })
            .collect()
    }

    fn table(&self, titles: Vec<String>, rows: Vec<Vec<String>>) -> String {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        // Ids are there to be copied: a broken one is of no use.
        let whole: Vec<_> = (0..titles.len())
            .map(|at| {
                rows.iter()
                    .all(|row| row.get(at).is_some_and(|cell| is_id(cell)))
            })
            .collect();
        table.set_header(titles.iter().map(|title| title.to_uppercase()));
        table.add_rows(rows.iter().map(|row| row.iter().map(|cell| escape(cell))));
        for (column, whole) in table.column_iter_mut().zip(whole) {
            column.set_padding((0, 2));
            if whole {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        if let Some(width) = self.width {
            table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width);
        }
        let mut text = String::new();
        for line in table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Finds what a name means: a column by its key, the last part of it or its heading, or any
/// other field, `outer.inner` for one within another.
fn find<'a, T>(
    columns: &'a [Column<T>],
    sample: Option<&Value>,
    name: &'a str,
) -> Result<Chosen<'a, T>, CliError> {
    let known = columns.iter().find(|column| {
        let last = column.key.rsplit('.').next().unwrap_or(column.key);
        [column.key, last, column.title]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    });
    match (known, sample) {
        (Some(column), _) => Ok(Chosen::Column(column)),
        (None, Some(sample)) if field(sample, name).is_some() => Ok(Chosen::Field(name)),
        // With no item to look at, any name may be a field.
        (None, None) => Ok(Chosen::Field(name)),
        (None, Some(_)) => Err(no_column(columns, name)),
    }
}

/// Returns a field of an item, `outer.inner` for one within another.
fn field<'a>(item: &'a Value, name: &str) -> Option<&'a Value> {
    item.get(name).or_else(|| {
        name.split('.')
            .try_fold(item, |inner, part| inner.get(part))
    })
}

fn no_column<T>(columns: &[Column<T>], name: &str) -> CliError {
    let names: Vec<_> = columns.iter().map(|column| column.key).collect();
    let (column, direction) = name.split_once(':').unwrap_or((name, ""));
    if !direction.is_empty() && names.contains(&column) {
        return CliError::usage(format!("'{direction}' is no direction to sort in"))
            .hint(format!("'{column}:asc' or '{column}:desc'"));
    }
    CliError::usage(format!("there is no column '{name}'"))
        .hint(format!("columns: {}", names.join(", ")))
}

fn is_id(cell: &str) -> bool {
    cell.len() == 36 && cell.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

fn to_json(item: &impl Serialize) -> Result<Value, CliError> {
    serde_json::to_value(item).map_err(|cause| CliError::failed_by("writing JSON", &cause))
}

fn pretty(value: &Value) -> String {
    format!("{}\n", escape_json(&format!("{value:#}")))
}

/// Leaves bare values as they are for programs, and not for a terminal.
fn to_terminal(text: String) -> String {
    if io::stdout().is_terminal() {
        escape(&text).into_owned()
    } else {
        text
    }
}

fn yaml(value: &Value) -> Result<String, CliError> {
    serde_yaml_ng::to_string(value).map_err(|cause| CliError::failed_by("writing YAML", &cause))
}

/// Writes to standard output; a reader that has gone away ends the command quietly.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Err(CliError::output_closed()),
        Err(cause) => Err(CliError::failed_by("writing to standard output", &cause)),
    }
}

/// Says something beside the output, on standard error; nothing is lost if nobody reads it.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", escape(text));
}

fn width() -> Option<u16> {
    let stdout = io::stdout();
    if stdout.is_terminal() {
        return rustix::termios::tcgetwinsize(&stdout)
            .ok()
            .map(|size| size.ws_col)
            .filter(|columns| *columns >= 20)
            .or(Some(80));
    }
    std::env::var("COLUMNS").ok()?.parse().ok()
}

/// Shows what may be missing: a dash says that it was asked for and is not there.
pub(crate) fn or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty())
        .unwrap_or("-")
        .to_owned()
}

/// Shows an API's time for people: `2026-03-01 12:00:00`, UTC.
pub(crate) fn moment(at: Option<&Moment>) -> String {
    time(at.map(Moment::as_str))
}

/// Shows an instant given as text.
pub(crate) fn time(text: Option<&str>) -> String {
    let text = or_dash(text);
    match text.split_once('T') {
        Some((day, rest)) => format!("{day} {}", rest.get(..8).unwrap_or(rest)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: &[Column<Value>] = &[
        column("id", "ID", |item| {
            item["id"].as_str().unwrap_or_default().to_owned()
        }),
        column("name", "Name", |item| or_dash(item["name"].as_str())),
        column("created_at", "Created", |item| {
            time(item["created_at"].as_str())
        }),
    ];

    fn items() -> Vec<Value> {
        vec![
            json!({"id": "2f1d7b1e-59a4-4b50-9d5c-1c2b3d4e5f60", "name": "disk-a", "size": 4, "created_at": "2026-03-01T12:00:00.000000"}),
            json!({"id": "2f1d7b1e-59a4-4b50-9d5c-1c2b3d4e5f61", "name": "a disk with a name that is far too long for the room there is", "size": 5, "created_at": "2026-03-01T12:00:00.000000"}),
            json!({"id": "2f1d7b1e-59a4-4b50-9d5c-1c2b3d4e5f62", "name": null, "size": 6, "created_at": null}),
        ]
    }

    fn output(format: Format, columns: &[&str]) -> Output {
        Output {
            format,
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            sort: Vec::new(),
            width: Some(80),
        }
    }

    #[test]
    fn a_table_fits_80_columns_and_breaks_no_id() {
        let text = output(Format::Table, &[])
            .render_list(COLUMNS, &items())
            .unwrap();
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_table_makes_use_of_200_columns() {
        let wide = Output {
            width: Some(200),
            ..output(Format::Table, &[])
        };
        insta::assert_snapshot!(wide.render_list(COLUMNS, &items()).unwrap());
    }

    #[test]
    fn a_record_is_a_line_a_field() {
        insta::assert_snapshot!(
            output(Format::Table, &[])
                .render_record(COLUMNS, &items()[1])
                .unwrap()
        );
    }

    #[test]
    fn json_holds_everything_unless_columns_are_chosen() {
        let all = output(Format::Json, &[])
            .render_list(COLUMNS, &items())
            .unwrap();
        assert_eq!(serde_json::from_str::<Value>(&all).unwrap(), json!(items()));
        let some = output(Format::Json, &["ID", "size"])
            .render_record(COLUMNS, &items()[0])
            .unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&some).unwrap(),
            json!({"id": "2f1d7b1e-59a4-4b50-9d5c-1c2b3d4e5f60", "size": 4})
        );
    }

    #[test]
    fn values_are_bare() {
        let text = output(Format::Value, &["name", "size"])
            .render_list(COLUMNS, &items()[..1])
            .unwrap();
        assert_eq!(text, "disk-a\t4\n");
        let text = output(Format::Value, &["size"])
            .render_record(COLUMNS, &items()[0])
            .unwrap();
        assert_eq!(text, "4\n");
    }

    #[test]
    fn yaml_holds_what_json_holds() {
        let text = output(Format::Yaml, &["name", "size"])
            .render_list(COLUMNS, &items()[..1])
            .unwrap();
        assert_eq!(text, "- name: disk-a\n  size: 4\n");
    }

    #[test]
    fn lists_are_ordered_as_asked() {
        let names = |sort: &str| {
            let mut output = output(Format::Value, &["size"]);
            output.sort = sort::keys(sort);
            output.render_list(COLUMNS, &items())
        };
        assert_eq!(names("size:desc").unwrap(), "6\n5\n4\n");
        // What has no name comes last, whichever way.
        assert_eq!(names("Name").unwrap(), "5\n4\n6\n");
        assert_eq!(names("name:desc").unwrap(), "4\n5\n6\n");
        assert_eq!(names("created_at,size:desc").unwrap(), "5\n4\n6\n");
        assert!(names("colour").is_err());
    }

    #[test]
    fn fields_within_fields_can_be_chosen_and_ordered_by() {
        const NESTED: &[Column<Value>] = &[
            column("id", "ID", |item| bare(&item["id"])),
            column("billing.size", "Size", |item| {
                format!("{} GiB", item["billing"]["size"])
            }),
            column("tags", "Tags", |item| bare(&item["tags"])),
        ];
        let items: Vec<Value> = [("a", 9, "y"), ("b", 10, "x"), ("c", 8, "z")]
            .into_iter()
            .map(|(id, size, tag)| {
                json!({"id": id, "billing": {"size": size, "used": 20 - size}, "tags": [tag]})
            })
            .collect();
        for (sort, columns, want) in [
            ("size", &["id"][..], "c\na\nb\n"),
            ("billing.size:desc", &["id"], "b\na\nc\n"),
            (
                "billing.used",
                &["id", "billing.used"],
                "b\t10\na\t11\nc\t12\n",
            ),
            ("Tags", &["size"], "10\n9\n8\n"),
        ] {
            let mut output = output(Format::Value, columns);
            output.sort = sort::keys(sort);
            assert_eq!(output.render_list(NESTED, &items).unwrap(), want, "{sort}");
        }
        let output = output(Format::Json, &["billing.used"]);
        let text = output.render_record(NESTED, &items[0]).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, json!({"billing.used": 11}));
    }

    #[test]
    fn an_unknown_column_is_named() {
        let error = output(Format::Table, &["colour"])
            .render_list(COLUMNS, &items())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no column 'colour'\n  columns: id, name, created_at"
        );
    }
}
