//! `cargo xtask fuzz`: the decoders of strangers' bytes, on inputs that grow from the recorded vectors.

use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::options::Options;
use crate::process::{follow, root, run, say};

/// What is fuzzed, and whether its inputs are JSON. The decoders of the format share a program,
/// and each has its time to itself.
const TARGETS: [(&str, bool); 6] = [
    ("record", true),
    ("primitive", true),
    ("chunked_metadata", true),
    ("cutter", false),
    ("nbd_server", false),
    ("nbd_client", false),
];
const DECODERS: [&str; 26] = [
    "catalog_copy",
    "catalog_head",
    "catalog_section",
    "page",
    "node",
    "index_run",
    "progress",
    "manifest",
    "descriptor",
    "pack_header",
    "pack_trailer",
    "checksum",
    "session",
    "condemnation",
    "lease",
    "table_of_contents",
    "envelope",
    "wrapped_keys",
    "verified",
    "ledger_entry",
    "tombstone",
    "ledger_set",
    "spool_frame",
    "sealed_chunk",
    "names",
    "zstd_frame",
];

/// A longer recorded text is no seed: mutations of short ones reach more for the time.
const SEED_LIMIT: usize = 8 << 10;

/// One thing to fuzz.
#[derive(Debug, Clone, Copy)]
struct Job {
    name: &'static str,
    /// The program; for a decoder not its name.
    program: &'static str,
    is_json: bool,
}

fn jobs(only: Option<&str>) -> Vec<Job> {
    let targets = TARGETS.into_iter().map(|(name, is_json)| Job {
        name,
        program: name,
        is_json,
    });
    let decoders = DECODERS.into_iter().map(|name| Job {
        name,
        program: "decoders",
        is_json: false,
    });
    let wanted = |job: &Job| only.is_none_or(|only| only == job.name || only == job.program);
    targets.chain(decoders).filter(wanted).collect()
}

/// Fuzzes one target or all of them, as many at once as there are processors unless told otherwise.
pub(crate) fn fuzz(options: &Options) -> Result<()> {
    let seconds = options.number("seconds")?.unwrap_or(600);
    let chosen = jobs(options.get("only"));
    if chosen.is_empty() {
        let targets = TARGETS.map(|(name, _)| name).join(", ");
        let decoders = DECODERS.join(", ");
        bail!("there is no such target; there are {targets}, and of decoders {decoders}");
    }
    let folder = root().join("fuzz");
    let known = Command::new("cargo")
        .args(["+nightly", "fuzz", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !known {
        bail!(
            "fuzzing wants a nightly compiler and cargo-fuzz: \
             `rustup toolchain install nightly` and `cargo install --locked cargo-fuzz`"
        );
    }
    let mut programs: Vec<_> = chosen.iter().map(|job| job.program).collect();
    programs.dedup();
    for program in programs {
        run(&mut command(&folder, &["build", program]))?;
    }
    let queue = Mutex::new(chosen.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let processors = std::thread::available_parallelism()?.get() as u64;
    let at_once = options.number("jobs")?.unwrap_or(processors).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once)
            .map(|_| {
                scope.spawn(|| {
                    while let Some(job) = next() {
                        let executions = fuzz_one(&folder, job, seconds)?;
                        say(&format!("{}: {executions} executions", job.name));
                    }
                    Ok(())
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Fuzzes one target, and returns how often it was run.
fn fuzz_one(folder: &Path, job: Job, seconds: u64) -> Result<String> {
    let Job {
        name,
        program,
        is_json,
    } = job;
    let corpus = folder.join("corpus").join(name);
    fs::create_dir_all(&corpus)?;
    for (n, seed) in seeds(name)?.into_iter().enumerate() {
        fs::write(corpus.join(format!("seed-{n:04}")), seed)?;
    }
    let corpus = corpus.display().to_string();
    let time = format!("-max_total_time={seconds}");
    let dictionary = format!("-dict={}", folder.join("json.dict").display());
    let mut arguments = vec!["run", program, &corpus, "--"];
    arguments.extend([
        &time[..],
        "-print_final_stats=1",
        "-verbosity=0",
        "-timeout=20",
    ]);
    if is_json {
        arguments.push(&dictionary);
    }
    let log = folder.join("corpus").join(format!("{name}.log"));
    let mut command = command(folder, &arguments);
    if program != name {
        command.env("EMBERKEEP_DECODER", name);
    }
    // The fuzzer speaks on standard error.
    let (_, well) = follow(command.stderr(fs::File::create(&log)?))?;
    let told = fs::read_to_string(&log)?;
    if !well {
        bail!("{name} found something:\n{told}");
    }
    let executions = told
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .with_context(|| format!("{name} does not say how much it ran"))?;
    Ok(executions.trim().to_owned())
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(folder);
    command.args(["+nightly", "fuzz"]).args(arguments);
    command
}

/// Makes a target's first inputs of what the real Cinder wrote.
fn seeds(target: &str) -> Result<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    collect(&root().join("tests/vectors/cinder"), &mut files)?;
    let mut seeds = Vec::new();
    for path in files {
        let name = path.to_string_lossy();
        match target {
            "chunked_metadata" if name.ends_with("_metadata") => seeds.push(description(&path)?),
            "record" if name.ends_with("records.json") => records(&read(&path)?, &mut seeds),
            "primitive" if name.ends_with(".json") => primitives(&read(&path)?, &mut seeds),
            _ => {}
        }
    }
    seeds.retain(|seed| seed.len() <= SEED_LIMIT);
    seeds.sort_unstable();
    seeds.dedup();
    Ok(seeds)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Value> {
    serde_json::from_slice(&fs::read(path)?).with_context(|| path.display().to_string())
}

/// A description with the list of hashes after it, as if the backup's name were `p`.
fn description(path: &Path) -> Result<Vec<u8>> {
    let name = path.to_string_lossy();
    let stem = name.trim_end_matches("_metadata");
    let mut seed = vec![3];
    let (_, prefix) = stem.rsplit_once("/repo/").unwrap_or_default();
    let mut text = fs::read_to_string(path)?;
    // The container's part of the path is not part of the name: the longest tail that is one.
    let tails = prefix.match_indices('/').map(|(at, _)| &prefix[at + 1..]);
    for tail in std::iter::once(prefix).chain(tails) {
        text = text.replace(&format!("\"{tail}-"), "\"p-");
    }
    seed.extend(text.into_bytes());
    seed.push(0);
    seed.extend(fs::read(format!("{stem}_sha256file"))?);
    Ok(seed)
}

/// Every text under `record`, as a record and as what might be inside one.
fn records(json: &Value, seeds: &mut Vec<Vec<u8>>) {
    match json {
        Value::Object(fields) => {
            if let Some(Value::String(record)) = fields.get("record") {
                seeds.push([b"\x01", record.as_bytes()].concat());
            }
            if let Some(found) = fields.get("result").filter(|found| !found.is_string()) {
                seeds.push([b"\x00", found.to_string().as_bytes()].concat());
            }
            fields.values().for_each(|value| records(value, seeds));
        }
        Value::Array(items) => items.iter().for_each(|value| records(value, seeds)),
        _ => {}
    }
}

/// Every primitive, nested ones too.
fn primitives(json: &Value, seeds: &mut Vec<Vec<u8>>) {
    match json {
        Value::Object(fields) => {
            if fields.contains_key("versioned_object.name") {
                seeds.push([b"\x2e", json.to_string().as_bytes()].concat());
            }
            fields.values().for_each(|value| primitives(value, seeds));
        }
        Value::Array(items) => items.iter().for_each(|value| primitives(value, seeds)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decoders_are_those_of_the_program() {
        let program = root().join("fuzz/fuzz_targets/decoders.rs");
        let text = fs::read_to_string(program).unwrap();
        let table = text.split_once("const DECODERS").unwrap().1;
        let table = table.split_once("\n];").unwrap().0;
        let there: Vec<_> = table
            .lines()
            .filter_map(|line| line.strip_prefix("    (\"")?.split_once('"'))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(there, DECODERS);
        assert_eq!(jobs(None).len(), TARGETS.len() + DECODERS.len());
        assert_eq!(jobs(Some("decoders")).len(), DECODERS.len());
        assert_eq!(jobs(Some("page")).len(), 1);
    }

    #[test]
    fn there_are_seeds_for_what_is_read_from_strangers() {
        for target in ["record", "primitive", "chunked_metadata"] {
            let seeds = seeds(target).unwrap();
            assert!(seeds.len() >= 4, "{target}: {}", seeds.len());
        }
        let renamed = seeds("chunked_metadata").unwrap();
        let names = |seed: &Vec<u8>| String::from_utf8_lossy(seed).contains("\"p-00001\"");
        assert!(renamed.iter().any(names));
    }
}
