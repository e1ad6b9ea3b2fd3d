//! `cargo xtask fuzz`: the decoders of strangers' bytes, on inputs that grow from the recorded vectors.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::options::Options;
use crate::process::{follow, root, run, say};

/// What is fuzzed, and whether its inputs are JSON.
const TARGETS: [(&str, bool); 7] = [
    ("record", true),
    ("primitive", true),
    ("chunked_metadata", true),
    ("decoders", false),
    ("cutter", false),
    ("nbd_server", false),
    ("nbd_client", false),
];

/// A longer recorded text is no seed: mutations of short ones reach more for the time.
const SEED_LIMIT: usize = 8 << 10;

/// Fuzzes one target or all of them, one after the other.
pub(crate) fn fuzz(options: &Options) -> Result<()> {
    let seconds = options.number("seconds")?.unwrap_or(600);
    let only = options.get("only");
    let chosen: Vec<_> = TARGETS
        .into_iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
        .collect();
    if chosen.is_empty() {
        let names = TARGETS.map(|(name, _)| name).join(", ");
        bail!("there is no such target; there are {names}");
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
    let mut counts = Vec::new();
    for (name, is_json) in chosen {
        let corpus = folder.join("corpus").join(name);
        fs::create_dir_all(&corpus)?;
        for (n, seed) in seeds(name)?.into_iter().enumerate() {
            fs::write(corpus.join(format!("seed-{n:04}")), seed)?;
        }
        run(&mut command(&folder, &["build", name]))?;
        let mut arguments = vec![
            "run".to_owned(),
            name.to_owned(),
            "--".to_owned(),
            format!("-max_total_time={seconds}"),
            "-print_final_stats=1".to_owned(),
            "-verbosity=0".to_owned(),
            "-timeout=20".to_owned(),
        ];
        if is_json {
            arguments.push(format!("-dict={}", folder.join("json.dict").display()));
        }
        let log = folder.join("corpus").join(format!("{name}.log"));
        let file = fs::File::create(&log)?;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        // The fuzzer speaks on standard error.
        let (_, well) = follow(command(&folder, &arguments).stderr(file))?;
        let told = fs::read_to_string(&log)?;
        if !well {
            bail!("{name} found something:\n{told}");
        }
        let executions = told
            .lines()
            .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
            .with_context(|| format!("{name} does not say how much it ran"))?;
        counts.push(format!("{name}: {} executions", executions.trim()));
    }
    counts.iter().for_each(|line| say(line));
    Ok(())
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
