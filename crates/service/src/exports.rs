//! Backups served as volumes over NBD, by this process, until it ends or nobody wants them.
//!
//! NBD knows no tokens. An export goes by a name that nobody can guess. Its address is returned
//! once, to the maker of the export; no list returns it, so that a reader cannot take it there.
//!
//! An instant restore is an export that outlives the process: it takes writes, and the rest of
//! the backup's bytes comes in behind them until the overlay is a volume of its own.

mod commands;
pub(crate) mod filling;
mod kept;
pub(crate) mod served;
pub(crate) mod server;
pub(crate) mod watch;
