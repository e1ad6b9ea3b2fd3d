//! A long run of the engine, with a progress bar, and with Ctrl-C to stop it cleanly.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use emberkeep_engine::Run;

use crate::progress::Bar;

/// How often the bar is redrawn.
const REDRAW: Duration = Duration::from_millis(200);

/// Runs `work` on this thread while others draw its progress and listen for Ctrl-C.
pub(super) fn watched<T>(label: &str, work: impl FnOnce(&Run) -> T) -> T {
    let run = Run::new();
    cancel_on_interrupt(run.clone());
    let (over, ended) = channel::<()>();
    std::thread::scope(|scope| {
        let shown = run.clone();
        scope.spawn(move || {
            let bar = Bar::new(label, 0);
            while ended.recv_timeout(REDRAW) == Err(RecvTimeoutError::Timeout) {
                let progress = shown.progress();
                if progress.total > 0 {
                    bar.set(progress.done, progress.total);
                }
            }
        });
        let done = work(&run);
        drop(over);
        done
    })
}

/// The first Ctrl-C asks the run to stop, which leaves nothing but garbage for the next
/// sweep; the second one does not wait for that.
fn cancel_on_interrupt(run: Run) {
    let listen = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        else {
            return;
        };
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                run.cancel();
                if tokio::signal::ctrl_c().await.is_ok() {
                    std::process::exit(i32::from(crate::ExitStatus::Failed as u8));
                }
            }
        });
    };
    // Without the thread Ctrl-C ends the process at once, which the repository survives as well.
    let _ = std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(listen);
}
