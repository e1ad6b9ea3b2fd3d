//! `cargo xtask bench-api --rows N`: what lists cost the service when the project has N backups, a tenth and a
//! hundredth of that: the work is to grow with the page, and not with the table.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bench_api::{Ours, Site, cpu_secs, per};
use crate::load::Connection;
use crate::process::{cargo, run, say, target};

/// Measures lists of Block Storage and of CBR while the catalogue fills.
pub(crate) fn bench(binary: Option<&str>, rows: u64, seconds: u64) -> Result<()> {
    let example = [
        "--package",
        "emberkeep-catalog",
        "--features",
        "testing",
        "--example",
        "fill",
    ];
    run(cargo()
        .args(["build", "--release", "--locked"])
        .args(example))?;
    let fill = target().join("release/examples/fill");
    let mut ours = Ours::start(binary)?;
    let site = ours.site()?;
    let catalogue = ours.place.join("data/catalogue.db");
    let mut have = 0;
    for want in [rows / 100, rows / 10, rows] {
        say(&format!(
            "{want} backups of the project, in {} vaults",
            want.div_ceil(100)
        ));
        add(&fill, &catalogue, &site, have, want)?;
        have = want;
        let found = Found::of(&site)?;
        for (what, path) in lists(&site, &found, want) {
            let (requests, cpu) = asked(&site, &path, Duration::from_secs(seconds))?;
            say(&format!(
                "  {what:<44} {:>8.0} per CPU second, {:>6.0} µs each",
                per(requests, cpu),
                1e6 / per(requests, cpu)
            ));
        }
    }
    ours.stop()
}

/// Adds rows from another process, as `from` to `to`.
fn add(fill: &Path, catalogue: &Path, site: &Site, from: u64, to: u64) -> Result<()> {
    let mut command = Command::new(fill);
    command.arg(catalogue).arg(site.project());
    run(command.args([from.to_string(), to.to_string()]))
}

/// What some of the lists ask about.
struct Found {
    /// A backup fifty places from the newest one.
    marker: String,
    name: String,
    volume: String,
    vault: String,
}

impl Found {
    fn of(site: &Site) -> Result<Self> {
        let path = format!("{}/backups/detail?limit=50", site.root);
        let page = ask(site, &path)?;
        let last = page["backups"].as_array().and_then(|rows| rows.last());
        let text = |key: &str| {
            let found = last.and_then(|row| row[key].as_str());
            Ok::<_, anyhow::Error>(found.with_context(|| format!("no {key}"))?.to_owned())
        };
        let vaults = ask(site, &format!("/cbr/v3/{}/vaults?limit=1", site.project()))?;
        let vault = vaults["vaults"][0]["id"].as_str().context("no vault")?;
        Ok(Self {
            marker: text("id")?,
            name: text("name")?,
            volume: text("volume_id")?,
            vault: vault.to_owned(),
        })
    }
}

fn lists(site: &Site, found: &Found, rows: u64) -> Vec<(String, String)> {
    let Found {
        marker,
        name,
        volume,
        vault,
    } = found;
    let middle = rows / 2;
    let (root, cbr) = (&site.root, format!("/cbr/v3/{}", site.project()));
    let list = |query: &str| format!("{root}/backups/detail?limit=50{query}");
    [
        ("newest first", list("")),
        ("after a marker", list(&format!("&marker={marker}"))),
        ("newest first, and counted", list("&with_count=true")),
        (
            "available ones, and counted",
            list("&status=available&with_count=true"),
        ),
        ("by name", list("&sort=name:asc")),
        ("by size", list("&sort=size:desc")),
        ("by status", list("&sort=status:asc")),
        ("by change", list("&sort=updated_at:desc")),
        ("with a name", list(&format!("&name={name}"))),
        ("with a status", list("&status=available")),
        ("of a volume", list(&format!("&volume_id={volume}"))),
        (
            "from the middle by offset (grows: it counts)",
            list(&format!("&offset={middle}")),
        ),
        ("CBR: backups", format!("{cbr}/backups?limit=50")),
        (
            "CBR: backups of a vault",
            format!("{cbr}/backups?limit=50&vault_id={vault}"),
        ),
        ("CBR: vaults", format!("{cbr}/vaults?limit=50")),
        ("CBR: one vault", format!("{cbr}/vaults/{vault}")),
        ("CBR: tasks", format!("{cbr}/operation-logs?limit=50")),
    ]
    .map(|(what, path)| (what.to_owned(), path))
    .into()
}

fn ask(site: &Site, path: &str) -> Result<Value> {
    Connection::open(&site.address)?
        .ask("GET", path, &site.token, None)?
        .want(200)?
        .json()
}

/// Asks the same for a while; returns how often, and what it cost.
fn asked(site: &Site, path: &str, span: Duration) -> Result<(u64, f64)> {
    let mut connection = Connection::open(&site.address)?;
    connection.ask("GET", path, &site.token, None)?.want(200)?;
    let (begun, before) = (Instant::now(), cpu_secs(&site.pids)?);
    let mut requests = 0;
    while begun.elapsed() < span {
        connection.ask("GET", path, &site.token, None)?.want(200)?;
        requests += 1;
    }
    Ok((requests, cpu_secs(&site.pids)? - before))
}
