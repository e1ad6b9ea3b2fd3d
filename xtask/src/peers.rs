//! `cargo xtask bench peers`: the engine's goals beside every peer that is installed.
//!
//! Each step is run by every program in turn, on the same images, in one run; processor seconds
//! are what is compared. `docs/` and the closing notes quote its table.

mod tools;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::measure::{Cost, measure};
use crate::options::Options;
use crate::process::{cargo, find, output, root, run, say, target};
use crate::{clients, image};
use tools::{Tool, installed};

const CHANGED_PERCENT: u64 = 3;
const MIB: u64 = 1 << 20;
/// Whatever the file system: ext4 takes no file of 16 TiB.
const HUGE: u64 = (16 << 40) - 4096;

/// One step of one program.
struct Row {
    step: &'static str,
    tool: &'static str,
    cost: Cost,
    /// What the program's repository takes afterwards.
    stored: u64,
}

/// The sets of volumes, and what came out.
struct Bench {
    folder: PathBuf,
    gib: u64,
    changes: Vec<(u64, u64)>,
    rows: Vec<Row>,
    facts: serde_json::Map<String, Value>,
}

/// Runs everything and prints the table.
pub(crate) fn peers(options: &Options) -> Result<()> {
    let gib = options.number("size-gib")?.unwrap_or(4);
    let tree = PathBuf::from(options.get("tree").unwrap_or("/usr"));
    if options.get("binary").is_none() {
        run(cargo().args(["build", "--release", "--locked", "--package", "emberkeep"]))?;
    }
    run(cargo()
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "emberkeep-engine",
        ])
        .args(["--example", "yardstick"]))?;
    let program = options
        .get("binary")
        .map_or_else(|| target().join("release/emberkeep"), PathBuf::from);
    let folder = target().join("bench-peers");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let tools = installed(&folder, program, options.get("restic"))?;
    let mut bench = Bench {
        folder,
        gib,
        changes: Vec::new(),
        rows: Vec::new(),
        facts: serde_json::Map::new(),
    };
    let done = bench.all(&tools, &tree, options.get("cinder").is_some());
    bench.print();
    if let Some(path) = options.get("json") {
        fs::write(path, serde_json::to_vec_pretty(&bench.as_json())?)?;
    }
    if options.get("keep").is_none() {
        fs::remove_dir_all(&bench.folder)?;
    }
    done
}

/// Opens an index of ten million chunks.
pub(crate) fn index(options: &Options) -> Result<()> {
    let chunks = options.number("chunks")?.unwrap_or(10_000_000);
    run(cargo()
        .args([
            "test",
            "--release",
            "--locked",
            "--package",
            "emberkeep-engine",
            "--lib",
        ])
        .args(["--", "--ignored", "--nocapture", "opening_a_large_index"])
        .env("EMBERKEEP_CHUNKS", chunks.to_string()))
}

impl Bench {
    fn all(&mut self, tools: &[Box<dyn Tool>], tree: &Path, cinder: bool) -> Result<()> {
        let versions: Result<Vec<Value>> = tools.iter().map(|t| Ok(json!(t.version()?))).collect();
        self.facts.insert("tools".to_owned(), versions?.into());
        for tool in tools {
            tool.start_over()?;
        }
        self.make_sets(tree)?;
        let [v1, v2, v5] = ["v1.img", "v2.img", "v5.img"].map(|name| self.folder.join(name));
        let full = self.backups(tools, "full V1", &v1)?;
        self.yardstick("full V1", "bare loop", &["bare".as_ref(), v1.as_os_str()])?;
        if cinder {
            self.cinder(&v1)?;
        }
        let again = self.backups(tools, "unchanged V1", &v1)?;
        let changed = self.backups(tools, "changed V2", &v2)?;
        let other = self.backups(tools, "other V5", &v5)?;
        self.casync(&[("full V1", &v1), ("changed V2", &v2), ("other V5", &v5)])?;
        self.hinted(&v1, &v2)?;
        self.restores(tools, "restore V1", &full, &v1)?;
        self.restores(tools, "restore V2", &changed, &v2)?;
        for tool in tools {
            warm(tool.repository())?;
            self.step("verify", tool.as_ref(), &[tool.verify()])?;
        }
        for (at, tool) in tools.iter().enumerate() {
            let ids = [full[at].clone(), again[at].clone(), other[at].clone()];
            self.step("delete + sweep", tool.as_ref(), &tool.delete(&ids))?;
        }
        self.restores(tools, "restore V2 alone", &changed, &v2)?;
        for (step, name) in [("incompressible V3", "v3.img"), ("sparse V4", "v4.img")] {
            for tool in tools {
                tool.start_over()?;
            }
            let ids = self.backups(tools, step, &self.folder.join(name))?;
            if name == "v4.img" {
                self.crowd(tools[0].as_ref(), &ids[0])?;
            }
        }
        self.sizes(tools[0].as_ref(), &v1)
    }

    /// Makes the five sets.
    fn make_sets(&mut self, tree: &Path) -> Result<()> {
        let size = self.gib << 30;
        let at = |name: &str| self.folder.join(name);
        say(&format!(
            "making volumes of {} GiB from {}",
            self.gib,
            tree.display()
        ));
        let files = image::make_first(&at("v1.img"), size, tree)?;
        copy(&at("v1.img"), &at("v2.img"))?;
        self.changes = image::change_at(&at("v2.img"), files, CHANGED_PERCENT)?;
        image::noise(&at("v3.img"), size / 2)?;
        image::scatter(&at("v4.img"), size * 2, &at("v1.img"), self.gib * 50 * MIB)?;
        let second = image::make_second(&at("v5.img"), size, tree)?;
        let lines: Vec<String> = self
            .changes
            .iter()
            .map(|(at, len)| format!("{at} {len}"))
            .collect();
        fs::write(at("changes"), lines.join("\n"))?;
        let changed: u64 = self.changes.iter().map(|(_, length)| length).sum();
        self.facts.insert(
            "sets".to_owned(),
            json!({
                "V1": {"bytes": size, "files": files}, "V3": {"bytes": size / 2},
                "V2": {"changed": changed, "extents": self.changes.len()},
                "V4": {"bytes": size * 2, "data": self.gib * 50 * MIB}, "V5": {"bytes": size, "files": second},
            }),
        );
        Ok(())
    }

    fn backups(
        &mut self,
        tools: &[Box<dyn Tool>],
        step: &'static str,
        image: &Path,
    ) -> Result<Vec<String>> {
        tools
            .iter()
            .map(|tool| {
                warm(image)?;
                let printed = self.step(step, tool.as_ref(), &[tool.backup(image)])?;
                tool.id_in(&printed)
            })
            .collect()
    }

    /// Restores with each program, and copies, and compares every byte.
    fn restores(
        &mut self,
        tools: &[Box<dyn Tool>],
        step: &'static str,
        ids: &[String],
        image: &Path,
    ) -> Result<()> {
        let out = self.folder.join("out");
        for (tool, id) in tools.iter().zip(ids) {
            fs::create_dir_all(&out)?;
            warm(tool.repository())?;
            let (command, restored) = tool.restore(id, image, &out);
            self.step(step, tool.as_ref(), &[command])?;
            output(Command::new("cmp").args([image, &restored]))
                .with_context(|| format!("{} restored other bytes", tool.name()))?;
            if tool.name() == "emberkeep" {
                let more = json!({"source": allocated(image)?, "restored": allocated(&restored)?});
                self.facts.insert(format!("{step}: allocated"), more);
            }
            fs::remove_dir_all(&out)?;
        }
        fs::create_dir_all(&out)?;
        warm(image)?;
        let mut command = Command::new("cp");
        command
            .arg("--sparse=always")
            .args([image, &out.join("copy")]);
        let (_, cost) = measure(&command, &self.folder.join("time.txt"))?;
        self.note(step, "cp", cost, 0);
        Ok(fs::remove_dir_all(&out)?)
    }

    /// Runs one step, which may take several commands.
    fn step(
        &mut self,
        step: &'static str,
        tool: &dyn Tool,
        commands: &[Command],
    ) -> Result<String> {
        let mut sum = Cost::default();
        let mut all = String::new();
        for command in commands {
            let (printed, cost) = measure(command, &self.folder.join("time.txt"))?;
            sum.wall_secs += cost.wall_secs;
            sum.cpu_secs += cost.cpu_secs;
            sum.peak_mib = sum.peak_mib.max(cost.peak_mib);
            all = printed;
        }
        let stored = used(tool.repository())?;
        self.note(step, tool.name(), sum, stored);
        Ok(all)
    }

    fn note(&mut self, step: &'static str, tool: &'static str, cost: Cost, stored: u64) {
        let row = Row {
            step,
            tool,
            cost,
            stored,
        };
        say(&self.line(&row));
        self.rows.push(row);
    }

    /// Runs what the engine itself measures.
    fn yardstick(
        &mut self,
        step: &'static str,
        tool: &'static str,
        args: &[&std::ffi::OsStr],
    ) -> Result<Value> {
        let program = target().join("release/examples/yardstick");
        let told: Value = serde_json::from_str(&output(Command::new(program).args(args))?)?;
        self.note(step, tool, cost_of(&told)?, 0);
        Ok(told)
    }

    fn hinted(&mut self, v1: &Path, v2: &Path) -> Result<()> {
        let dir = self.folder.join("hinted");
        warm(v1)?;
        warm(v2)?;
        let program = target().join("release/examples/yardstick");
        let mut command = Command::new(program);
        command.arg("hinted").args([v1, v2]);
        command.args([self.folder.join("changes"), dir.clone()]);
        let told: Value = serde_json::from_str(&output(&mut command)?)?;
        self.note("unchanged V1", "hinted", cost_of(&told["unchanged"])?, 0);
        self.note("changed V2", "hinted", cost_of(&told["changed"])?, 0);
        output(Command::new("cmp").args([v2, &dir.join("restored.img")]))
            .context("a hinted backup restored other bytes")?;
        self.facts.insert("hinted".to_owned(), told);
        Ok(fs::remove_dir_all(dir)?)
    }

    /// Fifteen restores at once in one process.
    fn crowd(&mut self, tool: &dyn Tool, id: &str) -> Result<()> {
        let out = self.folder.join("crowd");
        fs::create_dir_all(&out)?;
        let repository = tool.repository().to_owned();
        let args = [
            "crowd".as_ref(),
            repository.as_os_str(),
            "local".as_ref(),
            id.as_ref(),
            "15".as_ref(),
            out.as_os_str(),
        ];
        self.yardstick("15 restores of V4", "emberkeep", &args)?;
        Ok(fs::remove_dir_all(out)?)
    }

    /// Volumes whose size is not what they hold: their cost is that of what they hold.
    fn sizes(&mut self, tool: &dyn Tool, from: &Path) -> Result<()> {
        let data = 1 << 30;
        for (step, back, size, data) in [
            ("1 GiB in 2 GiB", "restore 1 GiB in 2 GiB", 2 << 30, data),
            ("1 GiB in 1 TiB", "restore 1 GiB in 1 TiB", 1 << 40, data),
            (
                "256 MiB in 16 TiB",
                "restore 256 MiB in 16 TiB",
                HUGE,
                256 * MIB,
            ),
        ] {
            tool.start_over()?;
            let image = self.folder.join("sized.img");
            image::scatter(&image, size, from, data.min(self.gib << 28))?;
            warm_data(&image)?;
            let printed = self.step(step, tool, &[tool.backup(&image)])?;
            let id = tool.id_in(&printed)?;
            let out = self.folder.join("out");
            fs::create_dir_all(&out)?;
            let (command, restored) = tool.restore(&id, &image, &out);
            self.step(back, tool, &[command])?;
            ensure!(
                fs::metadata(&restored)?.len() == size,
                "another size was restored"
            );
            if size < 1 << 32 {
                output(Command::new("cmp").args([&image, &restored]))?;
            }
            fs::remove_dir_all(&out)?;
            fs::remove_file(&image)?;
        }
        Ok(())
    }

    /// What casync stores, whose chunks desync writes too: it is asked for nothing else.
    fn casync(&mut self, sets: &[(&'static str, &Path)]) -> Result<()> {
        let Some(program) = find("casync") else {
            return Ok(());
        };
        let version = output(Command::new(&program).arg("--version"))?;
        self.facts
            .insert("casync".to_owned(), version.lines().next().into());
        let place = self.folder.join("casync");
        fs::create_dir_all(&place)?;
        for (step, image) in sets {
            warm(image)?;
            let mut command = Command::new(&program);
            command
                .args([
                    "make",
                    "--compression=zstd",
                    "--chunk-size=65536",
                    "--store",
                ])
                .arg(place.join("default.castr"))
                .arg(place.join(step.replace(' ', "-")).with_extension("caibx"))
                .arg(image);
            let (_, cost) = measure(&command, &self.folder.join("time.txt"))?;
            self.note(step, "casync", cost, used(&place)?);
        }
        Ok(fs::remove_dir_all(place)?)
    }

    /// One full backup by the released Cinder's own driver.
    fn cinder(&mut self, v1: &Path) -> Result<()> {
        clients::ensure_cinder()?;
        let place = self.folder.join("cinder");
        fs::create_dir_all(&place)?;
        let mut command = Command::new(clients::python("cinder"));
        command
            .args(["-B", "-W", "ignore"])
            .arg(root().join("tests-e2e/cinder_full.py"))
            .args([v1, &place]);
        let printed = output(&mut command)?;
        let told: Value = serde_json::from_str(printed.lines().last().unwrap_or_default())?;
        self.note("full V1", "cinder", cost_of(&told)?, used(&place)?);
        Ok(fs::remove_dir_all(place)?)
    }

    fn print(&self) {
        say(&format!("\n{}", Value::Object(self.facts.clone())));
        say(&format!(
            "\n{:<26} {:<10} {:>8} {:>8} {:>9} {:>11} {:>9}",
            "step", "program", "wall s", "cpu s", "peak MiB", "stored MiB", "of restic"
        ));
        for row in &self.rows {
            say(&self.line(row));
        }
    }

    fn line(&self, row: &Row) -> String {
        let restic = self
            .rows
            .iter()
            .find(|other| other.step == row.step && other.tool == "restic")
            .map_or_else(String::new, |restic| {
                format!("{:.3}", row.cost.cpu_secs / restic.cost.cpu_secs)
            });
        let cost = row.cost;
        format!(
            "{:<26} {:<10} {:>8.2} {:>8.2} {:>9.1} {:>11} {restic:>9}",
            row.step,
            row.tool,
            cost.wall_secs,
            cost.cpu_secs,
            cost.peak_mib,
            row.stored / MIB,
        )
    }

    fn as_json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "step": row.step, "tool": row.tool, "wall_secs": row.cost.wall_secs,
                    "cpu_secs": row.cost.cpu_secs, "peak_mib": row.cost.peak_mib, "stored": row.stored,
                })
            })
            .collect();
        json!({"facts": self.facts, "rows": rows})
    }
}

fn cost_of(told: &Value) -> Result<Cost> {
    let number = |name: &str| {
        told[name]
            .as_f64()
            .with_context(|| format!("no {name} in {told}"))
    };
    Ok(Cost {
        wall_secs: number("wall_secs")?,
        cpu_secs: number("cpu_secs")?,
        peak_mib: number("peak_mib").unwrap_or_default(),
    })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("cp");
    command.arg("--sparse=always").args([from, to]);
    output(&mut command).map(|_| ())
}

/// Reads a file, or all files of a folder, once, so that each program finds them in memory.
fn warm(path: &Path) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            warm(&entry?.path())?;
        }
    } else {
        io::copy(&mut File::open(path)?, &mut io::sink())?;
    }
    Ok(())
}

/// Reads what a sparse file holds without reading what it does not.
fn warm_data(path: &Path) -> Result<()> {
    let copy = path.with_extension("copy");
    let mut command = Command::new("cp");
    command.arg("--sparse=always").args([path, &copy]);
    output(&mut command)?;
    Ok(fs::remove_file(copy)?)
}

/// Returns the bytes that a file has of its disk.
fn allocated(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs::metadata(path)?.blocks() * 512)
}

/// Returns the bytes that a folder has of its disk.
fn used(folder: &Path) -> Result<u64> {
    let mut sum = allocated(folder)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        sum += if path.is_dir() {
            used(&path)?
        } else {
            allocated(&path)?
        };
    }
    Ok(sum)
}
