//! `cargo xtask bench-api`: what requests cost the service, in requests per second of its processor time.
//!
//! The load comes from this process, whose own time does not count. Another Block Storage service can stand
//! beside ours: `--beside FOLDER` names where its processes keep their pid files, its address and a token
//! come from the environment (`tools/real_cinder/README.md` says how).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::bench_lists;
use crate::load::Connection;
use crate::options::Options;
use crate::process::{cargo, output, run, say, target};

const CONNECTIONS: [usize; 3] = [1, 8, 64];
/// Backups that the list of fifty is taken from.
const BACKUPS: usize = 60;
/// With the other service: it reads and packs each empty volume whole, which takes it a while.
const BACKUPS_BESIDE: usize = 5;

/// A Block Storage service under load.
pub(crate) struct Site {
    name: &'static str,
    /// `host:port`.
    pub(crate) address: String,
    /// What stands before `/backups`.
    pub(crate) root: String,
    pub(crate) token: String,
    /// Whose time counts.
    pub(crate) pids: Vec<u32>,
    /// How many backups there are to be shown and listed.
    backups: usize,
    /// How many may be made at once.
    makers: usize,
}

impl Site {
    /// Returns the id of the project that is worked in.
    pub(crate) fn project(&self) -> &str {
        self.root.rsplit('/').next().unwrap_or_default()
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Show,
    List,
    Cycle,
}

impl Load {
    const ALL: [Self; 3] = [Self::Show, Self::List, Self::Cycle];

    fn word(self) -> &'static str {
        match self {
            Self::Show => "show",
            Self::List => "list of 50",
            Self::Cycle => "create+delete",
        }
    }
}

/// What one load came to.
struct Figure {
    load: Load,
    connections: usize,
    requests: u64,
    wall_secs: f64,
    cpu_secs: f64,
}

/// Measures the service, and another one if it is named.
pub(crate) fn bench(options: &Options) -> Result<()> {
    let seconds = options.number("seconds")?.unwrap_or(5);
    if let Some(rows) = options.number("rows")? {
        return bench_lists::bench(options.get("binary"), rows, seconds);
    }
    let mut ours = Ours::start(options.get("binary"))?;
    let sites = match options.get("beside") {
        Some(folder) => vec![ours.site()?, beside(Path::new(folder))?],
        None => vec![ours.site()?],
    };
    let mut all = Vec::new();
    for site in &sites {
        let stock = Stock::of(site)?;
        for load in Load::ALL {
            for connections in CONNECTIONS {
                if load == Load::Cycle && connections > site.makers {
                    continue;
                }
                let span = Duration::from_secs(seconds);
                let figure = measure(site, &stock, load, connections, span)?;
                say(&format!(
                    "{:<9} {:<14} {:>3} connections: {:>8.0} per CPU second, {:>8.0} per second ({} in {:.1} s, {:.2} CPU s)",
                    site.name,
                    load.word(),
                    connections,
                    per(figure.requests, figure.cpu_secs),
                    per(figure.requests, figure.wall_secs),
                    figure.requests,
                    figure.wall_secs,
                    figure.cpu_secs
                ));
                all.push((site.name, figure));
            }
        }
        stock.discard(site)?;
    }
    if let [(first, _), .., (last, _)] = &all[..]
        && first != last
    {
        say("how many times as many per CPU second:");
        for load in Load::ALL {
            for connections in CONNECTIONS {
                let of = |name: &str| {
                    let same = |(site, figure): &&(&str, Figure)| {
                        *site == name && figure.load == load && figure.connections == connections
                    };
                    let found = all.iter().find(same);
                    found.map(|(_, figure)| per(figure.requests, figure.cpu_secs))
                };
                if let (Some(ours), Some(theirs)) = (of(first), of(last)) {
                    say(&format!(
                        "{:<14} {connections:>3} connections: {:>6.1}",
                        load.word(),
                        ours / theirs
                    ));
                }
            }
        }
        say(&format!(
            "the other one's list is of {BACKUPS_BESIDE}, ours of 50"
        ));
    }
    if let Some(path) = options.get("json") {
        let rows: Vec<Value> = all.iter().map(|(name, figure)| row(name, figure)).collect();
        fs::write(path, serde_json::to_string_pretty(&rows)?)?;
    }
    ours.stop()
}

fn row(name: &str, figure: &Figure) -> Value {
    json!({
        "service": name,
        "load": figure.load.word(),
        "connections": figure.connections,
        "requests": figure.requests,
        "wall_secs": figure.wall_secs,
        "cpu_secs": figure.cpu_secs,
        "requests_per_cpu_sec": per(figure.requests, figure.cpu_secs),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn per(requests: u64, secs: f64) -> f64 {
    requests as f64 / secs.max(1e-9)
}

/// Our own service, on a data directory that goes with it.
pub(crate) struct Ours {
    process: Child,
    pub(crate) place: PathBuf,
    url: String,
}

impl Ours {
    pub(crate) fn start(binary: Option<&str>) -> Result<Self> {
        let binary = match binary {
            Some(path) => PathBuf::from(path),
            None => {
                run(cargo().args(["build", "--release", "--locked", "--package", "emberkeep"]))?;
                target().join("release/emberkeep")
            }
        };
        let place =
            std::env::temp_dir().join(format!("emberkeep-bench-api-{}", std::process::id()));
        fs::create_dir_all(&place)?;
        let mut process = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(place.join("data"))
            // What is deleted is swept later: the sweep is not what is measured.
            .env("EMBERKEEP_SWEEP_DELAY_SECS", "3600")
            .env("EMBERKEEP_QUOTA_BACKUPS", "-1")
            .env("EMBERKEEP_QUOTA_BACKUP_GIGABYTES", "-1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let pipe = process.stdout.take().context("no standard output")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(pipe), &mut line)?;
        let url = line
            .trim_end()
            .strip_prefix("ready ")
            .ok_or_else(|| anyhow!("the service said `{line}`"))?;
        Ok(Self {
            url: url.to_owned(),
            process,
            place,
        })
    }

    pub(crate) fn site(&self) -> Result<Site> {
        let yaml = fs::read_to_string(self.place.join("data/clouds.yaml"))?;
        let field = |name: &str| {
            let found = yaml
                .lines()
                .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
            let found = found.map(|text| text.trim().trim_matches(['\'', '"']).to_owned());
            found.ok_or_else(|| anyhow!("clouds.yaml names no {name}"))
        };
        let address = self.url.trim_start_matches("http://").to_owned();
        let (token, project) = sign_in(
            &address,
            "/identity/v3/auth/tokens",
            &field("username")?,
            &field("password")?,
            &field("project_name")?,
        )?;
        Ok(Site {
            name: "emberkeep",
            address,
            root: format!("/volume/v3/{project}"),
            token,
            pids: vec![self.process.id()],
            backups: BACKUPS,
            makers: 64,
        })
    }

    pub(crate) fn stop(&mut self) -> Result<()> {
        output(Command::new("kill").arg(self.process.id().to_string()))?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        // All of it goes, however the bench has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// Finds the service that stands beside ours.
fn beside(folder: &Path) -> Result<Site> {
    let env = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.into());
    let keystone = env("EK_KEYSTONE", "127.0.0.1:5000");
    let (token, project) = sign_in(
        &keystone,
        "/v3/auth/tokens",
        &env("OS_USERNAME", "admin"),
        &env("OS_PASSWORD", "secret-admin"),
        &env("OS_PROJECT_NAME", "admin"),
    )?;
    let mut pids = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Its database, its queue and Keystone are not counted.
        if name.starts_with("cinder-") && name.ends_with(".pid") {
            pids.extend(family(fs::read_to_string(&path)?.trim().parse()?));
        }
    }
    if pids.is_empty() {
        bail!("{} holds no pid files of cinder's", folder.display());
    }
    Ok(Site {
        name: "cinder",
        address: env("EK_CINDER", "127.0.0.1:8776"),
        root: format!("/v3/{project}"),
        token,
        pids,
        backups: BACKUPS_BESIDE,
        makers: 1,
    })
}

/// Lists a process and all that descend from it.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        for task in fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|word| word.parse::<u32>().ok()),
            );
        }
        at += 1;
    }
    all
}

fn sign_in(
    address: &str,
    path: &str,
    user: &str,
    password: &str,
    project: &str,
) -> Result<(String, String)> {
    let domain = json!({"id": "default"});
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {
            "user": {"name": user, "domain": domain, "password": password},
        }},
        "scope": {"project": {"name": project, "domain": domain}},
    }});
    let answer = Connection::open(address)?.ask("POST", path, "", Some(&body.to_string()))?;
    let answer = answer.want(201)?;
    let token = answer.header("x-subject-token").context("no token")?;
    let project = text(&answer.json()?, &["token", "project", "id"])?;
    Ok((token.to_owned(), project))
}

fn text(value: &Value, path: &[&str]) -> Result<String> {
    let found = path.iter().try_fold(value, |value, key| value.get(key));
    let found = found.and_then(Value::as_str);
    Ok(found
        .with_context(|| format!("no {path:?} in {value}"))?
        .to_owned())
}

/// What the load is about.
struct Stock {
    volumes: Vec<String>,
    backups: Vec<String>,
}

impl Stock {
    fn of(site: &Site) -> Result<Self> {
        let mut connection = Connection::open(&site.address)?;
        let mut stock = Self {
            volumes: Vec::new(),
            backups: Vec::new(),
        };
        // Each connection works on a volume of its own.
        for index in 0..site.makers {
            let body = json!({"volume": {"size": 1, "name": format!("bench-{index}")}});
            let path = format!("{}/volumes", site.root);
            let made = connection.ask("POST", &path, &site.token, Some(&body.to_string()))?;
            stock
                .volumes
                .push(text(&made.want(202)?.json()?, &["volume", "id"])?);
        }
        for volume in &stock.volumes {
            settled(&mut connection, site, "volume", volume)?;
        }
        for index in 0..site.backups {
            let volume = &stock.volumes[index % stock.volumes.len()];
            stock.backups.push(make(&mut connection, site, volume)?);
            // The next one of this volume is refused until the volume is free again.
            settled(&mut connection, site, "volume", volume)?;
        }
        for backup in &stock.backups {
            settled(&mut connection, site, "backup", backup)?;
        }
        Ok(stock)
    }

    fn discard(self, site: &Site) -> Result<()> {
        let mut connection = Connection::open(&site.address)?;
        for backup in &self.backups {
            remove(&mut connection, site, backup)?;
        }
        for volume in &self.volumes {
            let path = format!("{}/volumes/{volume}", site.root);
            connection
                .ask("DELETE", &path, &site.token, None)?
                .want(202)?;
        }
        Ok(())
    }
}

fn make(connection: &mut Connection, site: &Site, volume: &str) -> Result<String> {
    let body = json!({"backup": {"volume_id": volume, "name": "bench"}}).to_string();
    let path = format!("{}/backups", site.root);
    let made = connection.ask("POST", &path, &site.token, Some(&body))?;
    text(&made.want(202)?.json()?, &["backup", "id"])
}

/// Waits until something is available.
fn settled(connection: &mut Connection, site: &Site, kind: &str, id: &str) -> Result<()> {
    let path = format!("{}/{kind}s/{id}", site.root);
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let seen = connection.ask("GET", &path, &site.token, None)?.want(200)?;
        match text(&seen.json()?, &[kind, "status"])?.as_str() {
            "available" => return Ok(()),
            "error" => bail!("{kind} {id} ended in error"),
            _ if Instant::now() > deadline => bail!("{kind} {id} does not settle"),
            _ => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Deletes a backup and waits until it is gone.
fn remove(connection: &mut Connection, site: &Site, id: &str) -> Result<()> {
    let path = format!("{}/backups/{id}", site.root);
    connection
        .ask("DELETE", &path, &site.token, None)?
        .want(202)?;
    let deadline = Instant::now() + Duration::from_secs(120);
    while connection.ask("GET", &path, &site.token, None)?.status != 404 {
        if Instant::now() > deadline {
            bail!("backup {id} does not go");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Puts a load on the service for a while.
fn measure(
    site: &Site,
    stock: &Stock,
    load: Load,
    connections: usize,
    span: Duration,
) -> Result<Figure> {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let failure: Mutex<Option<anyhow::Error>> = Mutex::new(None);
    let begun = Instant::now();
    let before = cpu_secs(&site.pids)?;
    thread::scope(|scope| {
        for index in 0..connections {
            let (stop, done, failure) = (&stop, &done, &failure);
            scope.spawn(move || {
                let work = || -> Result<()> {
                    let mut connection = Connection::open(&site.address)?;
                    while !stop.load(Ordering::Relaxed) {
                        one(&mut connection, site, stock, load, index)?;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                };
                if let Err(error) = work() {
                    stop.store(true, Ordering::Relaxed);
                    if let Ok(mut first) = failure.lock() {
                        first.get_or_insert(error);
                    }
                }
            });
        }
        let end = begun + span;
        while Instant::now() < end && !stop.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
    });
    if let Ok(Some(error)) = failure.into_inner() {
        return Err(error.context(format!("{} at {}", load.word(), site.name)));
    }
    Ok(Figure {
        load,
        connections,
        requests: done.into_inner(),
        wall_secs: begun.elapsed().as_secs_f64(),
        cpu_secs: cpu_secs(&site.pids)? - before,
    })
}

/// Does what the load consists of, once.
fn one(
    connection: &mut Connection,
    site: &Site,
    stock: &Stock,
    load: Load,
    index: usize,
) -> Result<()> {
    match load {
        Load::Show => {
            let id = &stock.backups[index % stock.backups.len()];
            let path = format!("{}/backups/{id}", site.root);
            connection.ask("GET", &path, &site.token, None)?.want(200)?;
        }
        Load::List => {
            let path = format!("{}/backups/detail?limit=50", site.root);
            connection.ask("GET", &path, &site.token, None)?.want(200)?;
        }
        Load::Cycle => {
            let id = make(connection, site, &stock.volumes[index])?;
            settled(connection, site, "backup", &id)?;
            remove(connection, site, &id)?;
        }
    }
    Ok(())
}

/// Returns the processor seconds that processes have used so far, user and system.
pub(crate) fn cpu_secs(pids: &[u32]) -> Result<f64> {
    let ticks_per_sec: f64 = output(Command::new("getconf").arg("CLK_TCK"))?
        .trim()
        .parse()?;
    let mut ticks = 0;
    for pid in pids {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("process {pid} is gone"))?;
        // The name in parentheses may hold anything.
        let (_, rest) = stat.rsplit_once(')').context("not a stat file")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        for field in [11, 12] {
            ticks += fields
                .get(field)
                .context("a short stat file")?
                .parse::<u32>()?;
        }
    }
    Ok(f64::from(ticks) / ticks_per_sec)
}
