//! `emberkeep repo serve`: a backup as a volume that others may read, and write, over NBD.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Args;
use emberkeep_engine::RestoreError;
use emberkeep_model::ByteCount;
use emberkeep_nbd::tls::ClientProof;
use emberkeep_nbd::{Address, Listener, Server, ServerOptions, ServerTls, SingleExport};
use emberkeep_volumes::overlay::Filling;
use emberkeep_volumes::{Overlay, SourceSnapshot, VolumeError, VolumeExport};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{PlaceArgs, find, repository_error, store_error};
use crate::error::{CliError, chain};
use crate::output::{Output, say};

/// How often it is said how far filling has come.
const REPORT: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  emberkeep repo serve /backups monday --socket /run/monday.sock
  nbdfuse /mnt/disk nbd+unix:///?socket=/run/monday.sock        read it as a file
  nbdcopy nbd+unix:///?socket=/run/monday.sock out.img

A volume that can be used before it is restored (start it again to go on after a restart):
  emberkeep repo serve /backups monday --socket /run/monday.sock --overlay vm.img --fill

When it serves, it prints one line with the address. SIGTERM or Ctrl-C stops it.";

/// Options of `repo serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Name, id or id prefix of the backup
    backup: String,
    /// Listen on a Unix socket with mode 0600
    #[arg(long, value_name = "PATH", required_unless_present = "listen")]
    socket: Option<PathBuf>,
    /// Listen on a TCP address; other than loopback needs --tls. Port 0 picks a free port
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "socket")]
    listen: Option<SocketAddr>,
    /// Require TLS with client certificates; the directory holds server-cert.pem,
    /// server-key.pem and ca-cert.pem
    #[arg(long, value_name = "DIR")]
    tls: Option<PathBuf>,
    /// Accept writes and keep them in this file (and FILE.map); the backup is not changed
    #[arg(long, value_name = "FILE")]
    overlay: Option<PathBuf>,
    /// Fill the overlay in the background until it is a complete image
    #[arg(long, requires = "overlay")]
    fill: bool,
    /// Name of the export [default: the backup's name]
    #[arg(long, value_name = "NAME")]
    export: Option<String>,
}

/// Runs `repo serve`.
pub(super) fn run(args: ServeArgs, output: &Output) -> Result<(), CliError> {
    let signals = Signals::listen()?;
    let listener = listener(&args)?;
    let tls = args.tls.as_deref();
    let tls = tls
        .map(|dir| ServerTls::load(dir, ClientProof::Certificate))
        .transpose()
        .map_err(|error| CliError::refused(chain(&error)))?;
    let projects = args.place.projects()?;
    let all = find::manifests(&projects)?;
    let found = find::one(&args.backup, &all)?;
    let id = found.manifest.backup_id;
    let reader = found
        .project
        .reader(id)
        .map_err(|error| reader_error(&error))?;
    let base: Arc<dyn SourceSnapshot> = Arc::new(reader);
    let overlay = match &args.overlay {
        None => None,
        Some(path) => {
            let opened = Overlay::open(path, base.clone(), &id.to_string());
            Some(Arc::new(opened.map_err(|error| overlay_error(&error))?))
        }
    };
    let export = match &overlay {
        None => VolumeExport::ReadOnly(base),
        Some(overlay) => VolumeExport::Writable(overlay.clone()),
    };
    let name = args.export.clone();
    let name = name.unwrap_or_else(|| found.manifest.name.clone());
    let exports = Arc::new(SingleExport::new(name.clone(), Arc::new(export)));
    let secured = tls.is_some();
    let options = ServerOptions {
        tls,
        ..ServerOptions::default()
    };
    let server = Server::start(listener, exports, options)
        .map_err(|cause| CliError::failed_by("serving", &cause))?;
    let mut address = Address::new(server.place().clone(), name);
    address.tls = secured;
    let uri = address.to_string();
    let writable = overlay.is_some();
    let json =
        json!({"id": id, "uri": uri, "size_bytes": found.manifest.size, "writable": writable});
    output.done(&format!("ready {uri}"), &uri, &json)?;
    serve(server, overlay.as_deref(), &args, signals)
}

/// Serves, and fills if that was asked for, until a signal comes.
fn serve(
    server: Server,
    overlay: Option<&Overlay>,
    args: &ServeArgs,
    signals: Signals,
) -> Result<(), CliError> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let filling = match overlay {
            Some(overlay) if args.fill && !overlay.is_complete() => {
                let stop = &stop;
                Some(scope.spawn(move || fill(overlay, stop)))
            }
            _ => None,
        };
        signals.wait();
        stop.store(true, Relaxed);
        server.stop();
        let filled = filling.map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        if let Some(overlay) = overlay {
            overlay.flush().map_err(|error| overlay_error(&error))?;
        }
        filled.unwrap_or(Ok(()))
    })
}

fn fill(overlay: &Overlay, stop: &AtomicBool) -> Result<(), CliError> {
    let mut told = Instant::now();
    let size = overlay.size();
    let filled = overlay.fill(|present| {
        if told.elapsed() >= REPORT {
            told = Instant::now();
            say(&format!("filling: {} of {size}", ByteCount(present)));
        }
        if stop.load(Relaxed) {
            Filling::Stop
        } else {
            Filling::On
        }
    });
    match filled {
        Ok(true) => {
            say("filled: the overlay is a whole image, and needs the repository no more");
            Ok(())
        }
        Ok(false) => Ok(()),
        Err(error) => {
            let told = CliError::failed_by("filling", &error);
            // What is there can still be used, so the server goes on.
            say(&format!("emberkeep: {told}"));
            Err(told)
        }
    }
}

fn listener(args: &ServeArgs) -> Result<Listener, CliError> {
    let bound = match (&args.socket, args.listen) {
        (Some(path), _) => Listener::unix(path.clone()),
        (None, Some(address)) if address.ip().is_loopback() || args.tls.is_some() => {
            Listener::tcp(address)
        }
        (None, Some(address)) => {
            let words = format!("{address} can be reached by anyone, and NBD knows no passwords");
            return Err(CliError::refused(words)
                .hint("give --tls DIR, or listen on 127.0.0.1 or on a --socket"));
        }
        (None, None) => {
            return Err(CliError::usage(
                "give --socket PATH or --listen ADDRESS:PORT",
            ));
        }
    };
    bound.map_err(|cause| CliError::failed_by("listening", &cause))
}

/// The signals that end it, heard from before it says that it is ready.
struct Signals {
    runtime: tokio::runtime::Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, CliError> {
        let failed = |cause| CliError::failed_by("listening for signals", &cause);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let inside = runtime.enter();
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        drop(inside);
        Ok(Self {
            runtime,
            terminate,
            interrupt,
        })
    }

    fn wait(mut self) {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
        });
    }
}

fn reader_error(error: &RestoreError) -> CliError {
    match error {
        RestoreError::NoSuchBackup(_) => CliError::not_found(error.to_string()),
        RestoreError::Repository(error) => repository_error(error),
        RestoreError::Store(error) => store_error(error),
        RestoreError::BackupDamaged { .. } => CliError::failed(chain(error))
            .hint("`emberkeep repo check --read-data` names everything that is hurt"),
        RestoreError::VolumeTooSmall { .. }
        | RestoreError::Target(_)
        | RestoreError::Cancelled
        | RestoreError::Decompressor(_) => CliError::failed(chain(error)),
    }
}

fn overlay_error(error: &VolumeError) -> CliError {
    let words = chain(error);
    match error {
        VolumeError::Exists { .. } => CliError::refused(words)
            .hint("an overlay is a file that this command makes; without its .map it is not one"),
        VolumeError::BadImage { .. } => CliError::refused(words),
        _ => CliError::failed(words),
    }
}
