//! `cargo xtask bench`: the main job on a real image, beside restic on the same image in the same run.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::image;
use crate::measure::{Cost, measure};
use crate::options::Options;
use crate::process::{cargo, find, output, run, say, target};

const CHANGED_PERCENT: u64 = 2;
const MIB: f64 = 1024.0 * 1024.0;

/// One step of one tool.
struct Row {
    step: &'static str,
    tool: &'static str,
    cost: Cost,
    repository_mib: f64,
}

/// The files of one run, all in one directory.
struct Place {
    folder: PathBuf,
    image: PathBuf,
    original: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = target().join("bench");
        Self {
            image: folder.join("disk.img"),
            original: folder.join("original.img"),
            folder,
        }
    }

    fn in_it(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Runs the whole comparison and prints it.
pub(crate) fn bench(options: &Options) -> Result<()> {
    let gib = options.number("size-gib")?.unwrap_or(2);
    let tree = PathBuf::from(options.get("tree").unwrap_or("/usr"));
    run(cargo().args(["build", "--release", "--locked", "--package", "emberkeep"]))?;
    let place = Place::new();
    if place.folder.exists() {
        fs::remove_dir_all(&place.folder)?;
    }
    fs::create_dir_all(&place.folder)?;
    let done = compare(&place, gib << 30, &tree);
    if options.get("keep").is_none() {
        fs::remove_dir_all(&place.folder)?;
    }
    let (rows, facts) = done?;
    print(&rows, &facts);
    if let Some(path) = options.get("json") {
        fs::write(path, serde_json::to_vec_pretty(&as_json(&rows, &facts))?)?;
    } else {
        say(&as_json(&rows, &facts).to_string());
    }
    Ok(())
}

fn compare(place: &Place, size: u64, tree: &Path) -> Result<(Vec<Row>, Value)> {
    say(&format!(
        "making an image of {} MiB from {}",
        size >> 20,
        tree.display()
    ));
    let data = image::make(&place.image, size, tree)?;
    output(
        Command::new("cp")
            .args(["--reflink=auto", "--sparse=always"])
            .args([&place.image, &place.original]),
    )?;
    let mut tools: Vec<Box<dyn Tool>> = vec![Box::new(Emberkeep::new(place)?)];
    match Restic::new(place)? {
        Some(restic) => tools.push(Box::new(restic)),
        None => say("restic is not installed (Debian package restic): nothing to compare with"),
    }
    let mut rows = Vec::new();
    let mut first_ids = Vec::new();
    for tool in &tools {
        let (id, row) = backup(place, tool.as_ref(), "full", true)?;
        first_ids.push(id);
        rows.push(row);
    }
    for tool in &tools {
        rows.push(backup(place, tool.as_ref(), "unchanged", false)?.1);
    }
    let changed = image::change(&place.image, data, CHANGED_PERCENT)?;
    let mut last_ids = Vec::new();
    for tool in &tools {
        let (id, row) = backup(place, tool.as_ref(), "2 % changed", false)?;
        last_ids.push(id);
        rows.push(row);
    }
    for (tool, id) in tools.iter().zip(&first_ids) {
        rows.push(restore(
            place,
            tool.as_ref(),
            "restore full",
            id,
            &place.original,
        )?);
    }
    for (tool, id) in tools.iter().zip(&last_ids) {
        rows.push(restore(
            place,
            tool.as_ref(),
            "restore changed",
            id,
            &place.image,
        )?);
    }
    let versions: Vec<Value> = tools.iter().map(|tool| json!(tool.version())).collect();
    let facts = json!({
        "image_bytes": size, "file_bytes": data, "changed_bytes": changed,
        "tools": versions, "restores": "byte-exact",
    });
    Ok((rows, facts))
}

fn backup(place: &Place, tool: &dyn Tool, step: &'static str, full: bool) -> Result<(String, Row)> {
    warm(&place.image)?;
    let (printed, cost) = measure(&tool.backup(&place.image, full), &place.in_it("time.txt"))?;
    let row = Row {
        step,
        tool: tool.name(),
        cost,
        repository_mib: folder_mib(&tool.repository())?,
    };
    Ok((tool.id_in(&printed)?, row))
}

fn restore(
    place: &Place,
    tool: &dyn Tool,
    step: &'static str,
    id: &str,
    want: &Path,
) -> Result<Row> {
    let out = place.in_it("restored");
    fs::create_dir_all(&out)?;
    let (command, restored) = tool.restore(id, &place.image, &out);
    let (_, cost) = measure(&command, &place.in_it("time.txt"))?;
    output(Command::new("cmp").args([want, &restored]))
        .with_context(|| format!("{} restored other bytes", tool.name()))?;
    fs::remove_dir_all(&out)?;
    Ok(Row {
        step,
        tool: tool.name(),
        cost,
        repository_mib: folder_mib(&tool.repository())?,
    })
}

/// Reads the file once, so that each tool finds it in memory.
fn warm(path: &Path) -> Result<()> {
    io::copy(&mut File::open(path)?, &mut io::sink())?;
    Ok(())
}

fn folder_mib(folder: &Path) -> Result<f64> {
    let printed = output(
        Command::new("du")
            .args(["--summarize", "--block-size=1"])
            .arg(folder),
    )?;
    let bytes: u64 = printed
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .parse()?;
    #[expect(clippy::cast_precision_loss, reason = "shown to one decimal")]
    Ok(bytes as f64 / MIB)
}

/// What the comparison asks of a backup program.
trait Tool {
    fn name(&self) -> &'static str;
    fn version(&self) -> String;
    fn repository(&self) -> PathBuf;
    fn backup(&self, image: &Path, full: bool) -> Command;
    /// Finds the new backup's id in what the backup printed.
    fn id_in(&self, printed: &str) -> Result<String>;
    /// Returns the command, and where the restored image will lie.
    fn restore(&self, id: &str, image: &Path, out: &Path) -> (Command, PathBuf);
}

struct Emberkeep {
    program: PathBuf,
    repository: PathBuf,
}

impl Emberkeep {
    fn new(place: &Place) -> Result<Self> {
        let own = Self {
            program: target().join("release/emberkeep"),
            repository: place.in_it("emberkeep"),
        };
        output(own.command().arg("init").arg(&own.repository))?;
        Ok(own)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("repo");
        command
    }
}

impl Tool for Emberkeep {
    fn name(&self) -> &'static str {
        "emberkeep"
    }

    fn version(&self) -> String {
        format!("emberkeep {}", env!("CARGO_PKG_VERSION"))
    }

    fn repository(&self) -> PathBuf {
        self.repository.clone()
    }

    fn backup(&self, image: &Path, full: bool) -> Command {
        let mut command = self.command();
        command.arg("backup").arg(&self.repository).arg(image);
        command.args(["--name", "bench", "-o", "json"]);
        if full {
            command.arg("--full");
        }
        command
    }

    fn id_in(&self, printed: &str) -> Result<String> {
        let answer: Value = serde_json::from_str(printed)?;
        Ok(answer["id"]
            .as_str()
            .context("no id in the answer")?
            .to_owned())
    }

    fn restore(&self, id: &str, _image: &Path, out: &Path) -> (Command, PathBuf) {
        let restored = out.join("disk.img");
        let mut command = self.command();
        command
            .arg("restore")
            .arg(&self.repository)
            .arg(id)
            .arg(&restored);
        (command, restored)
    }
}

struct Restic {
    program: PathBuf,
    repository: PathBuf,
    version: String,
    sparse: bool,
}

impl Restic {
    fn new(place: &Place) -> Result<Option<Self>> {
        let Some(program) = find("restic") else {
            return Ok(None);
        };
        let mut own = Self {
            program,
            repository: place.in_it("restic"),
            version: String::new(),
            sparse: false,
        };
        own.version = output(own.command().arg("version"))?.trim().to_owned();
        own.sparse = output(own.command().args(["restore", "--help"]))?.contains("--sparse");
        output(own.command().arg("init"))?;
        Ok(Some(own))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("RESTIC_PASSWORD", "bench")
            .env("RESTIC_REPOSITORY", &self.repository)
            .env("RESTIC_CACHE_DIR", self.repository.with_extension("cache"));
        command
    }
}

impl Tool for Restic {
    fn name(&self) -> &'static str {
        "restic"
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn repository(&self) -> PathBuf {
        self.repository.clone()
    }

    fn backup(&self, image: &Path, _full: bool) -> Command {
        let mut command = self.command();
        // A volume has no usable time of change: both tools have to read it again.
        command.args(["backup", "--json", "--force"]).arg(image);
        command
    }

    fn id_in(&self, printed: &str) -> Result<String> {
        for line in printed.lines().rev() {
            if let Ok(message) = serde_json::from_str::<Value>(line)
                && let Some(id) = message["snapshot_id"].as_str()
            {
                return Ok(id.to_owned());
            }
        }
        bail!("restic named no snapshot")
    }

    fn restore(&self, id: &str, image: &Path, out: &Path) -> (Command, PathBuf) {
        let mut command = self.command();
        command.args(["restore", id, "--target"]).arg(out);
        if self.sparse {
            command.arg("--sparse");
        }
        (command, out.join(image.strip_prefix("/").unwrap_or(image)))
    }
}

fn print(rows: &[Row], facts: &Value) {
    say(&format!(
        "\nimage {} MiB, files {} MiB, changed {} MiB; restores compared byte for byte",
        facts["image_bytes"].as_u64().unwrap_or_default() >> 20,
        facts["file_bytes"].as_u64().unwrap_or_default() >> 20,
        facts["changed_bytes"].as_u64().unwrap_or_default() >> 20,
    ));
    say(&format!(
        "{:<16} {:<10} {:>8} {:>8} {:>10} {:>12} {:>10}",
        "step", "tool", "wall s", "cpu s", "peak MiB", "stored MiB", "cpu ratio"
    ));
    for row in rows {
        let ratio = rows
            .iter()
            .find(|other| other.step == row.step && other.tool == "restic")
            .map_or_else(String::new, |other| {
                format!("{:.2}", row.cost.cpu_secs / other.cost.cpu_secs)
            });
        say(&format!(
            "{:<16} {:<10} {:>8.2} {:>8.2} {:>10.1} {:>12.1} {:>10}",
            row.step,
            row.tool,
            row.cost.wall_secs,
            row.cost.cpu_secs,
            row.cost.peak_mib,
            row.repository_mib,
            ratio
        ));
    }
}

fn as_json(rows: &[Row], facts: &Value) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "step": row.step, "tool": row.tool, "wall_secs": row.cost.wall_secs, "cpu_secs": row.cost.cpu_secs,
                "peak_mib": row.cost.peak_mib, "repository_mib": row.repository_mib,
            })
        })
        .collect();
    json!({"facts": facts, "rows": rows})
}
