//! A file layer below SQLite whose n-th call fails: the system's own, with its calls counted.
#![expect(
    unsafe_code,
    reason = "SQLite's file layer is an interface in C; test code only"
)]

use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};
use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError};

use rusqlite::ffi;

/// The name under which SQLite knows it.
pub(super) const NAME: &str = "faulty";
const C_NAME: &std::ffi::CStr = c"faulty";

/// How long a fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasts {
    Once,
    UntilDisarmed,
}

/// What fails, and what was counted so far.
#[derive(Debug)]
struct Plan {
    at: u64,
    code: c_int,
    lasts: Lasts,
    calls: u64,
}

static PLAN: Mutex<Option<Plan>> = Mutex::new(None);
static ALONE: Mutex<()> = Mutex::new(());
static REGISTERED: Once = Once::new();
static REAL: OnceLock<ffi::sqlite3_io_methods> = OnceLock::new();
/// What replaces the methods of a file, by the address of its own.
static REPLACED: Mutex<Option<HashMap<usize, &'static ffi::sqlite3_io_methods>>> = Mutex::new(None);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the layer known to SQLite. One test at a time uses it, for as long as it holds what this returns.
pub(super) fn register() -> MutexGuard<'static, ()> {
    REGISTERED.call_once(|| {
        // Safe: a null name finds the default layer, which is never unregistered; the copy lives forever.
        let code = unsafe {
            let mut layer = Box::new(*ffi::sqlite3_vfs_find(std::ptr::null()));
            layer.zName = C_NAME.as_ptr();
            layer.pNext = std::ptr::null_mut();
            layer.xOpen = Some(open);
            layer.xDelete = Some(delete);
            ffi::sqlite3_vfs_register(Box::leak(layer), 0)
        };
        assert_eq!(code, ffi::SQLITE_OK, "the layer is registered");
    });
    let alone = lock(&ALONE);
    disarm();
    alone
}

/// Lets the `at`-th call from now on fail with `code`.
pub(super) fn arm(at: u64, code: c_int, lasts: Lasts) {
    *lock(&PLAN) = Some(Plan {
        at,
        code,
        lasts,
        calls: 0,
    });
}

/// Ends the fault; returns whether any call met it.
pub(super) fn disarm() -> bool {
    lock(&PLAN).take().is_some_and(|plan| plan.calls >= plan.at)
}

/// Counts a call; returns the code that it fails with, if it does.
fn strike() -> Option<c_int> {
    let mut plan = lock(&PLAN);
    let plan = plan.as_mut()?;
    plan.calls += 1;
    let hit = match plan.lasts {
        Lasts::Once => plan.calls == plan.at,
        Lasts::UntilDisarmed => plan.calls >= plan.at,
    };
    hit.then_some(plan.code)
}

fn default_layer() -> *mut ffi::sqlite3_vfs {
    // Safe: a null name finds the default layer.
    unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) }
}

unsafe extern "C" fn open(
    layer: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    if flags & ffi::SQLITE_OPEN_CREATE != 0
        && let Some(code) = strike()
    {
        // Safe: SQLite gives room for a file; one without methods is not closed.
        unsafe { (*file).pMethods = std::ptr::null() };
        return code;
    }
    // Safe: the arguments are passed on as they came to the layer that this one copies.
    unsafe {
        let Some(real) = (*default_layer()).xOpen else {
            return ffi::SQLITE_ERROR;
        };
        let code = real(layer, name, file, flags, out_flags);
        if code == ffi::SQLITE_OK && !(*file).pMethods.is_null() {
            (*file).pMethods = replaced((*file).pMethods);
        }
        code
    }
}

/// Returns the same methods with those that may fail exchanged.
unsafe fn replaced(methods: *const ffi::sqlite3_io_methods) -> *const ffi::sqlite3_io_methods {
    // Safe: SQLite's methods are static.
    let own = unsafe { &*methods };
    REAL.get_or_init(|| *own);
    let mut all = lock(&REPLACED);
    *all.get_or_insert_default()
        .entry(methods as usize)
        .or_insert_with(|| {
            Box::leak(Box::new(ffi::sqlite3_io_methods {
                xRead: Some(read),
                xWrite: Some(write),
                xTruncate: Some(truncate),
                xSync: Some(sync),
                xShmMap: own.xShmMap.map(|_| shm_map as _),
                ..*own
            }))
        })
}

/// Runs one of the layer's own methods, which are the same for every kind of file, or fails.
macro_rules! counted {
    ($name:ident, $method:ident, ($($arg:ident: $type:ty),*)) => {
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file, $($arg: $type),*) -> c_int {
            if let Some(code) = strike() {
                return code;
            }
            match REAL.get().and_then(|real| real.$method) {
                // Safe: the arguments are passed on as they came.
                Some(real) => unsafe { real(file, $($arg),*) },
                None => ffi::SQLITE_ERROR,
            }
        }
    };
}

counted!(read, xRead, (into: *mut c_void, size: c_int, at: i64));
counted!(write, xWrite, (from: *const c_void, size: c_int, at: i64));
counted!(truncate, xTruncate, (size: i64));
counted!(sync, xSync, (flags: c_int));

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    if let Some(code) = strike() {
        // Safe: SQLite gives a place for the answer.
        unsafe { *out = std::ptr::null_mut() };
        return code;
    }
    // Files with an index of the log are of one kind, whose method this is.
    let all = lock(&REPLACED);
    let real = all.iter().flatten().find_map(|(own, _)| {
        // Safe: the keys are addresses of SQLite's static methods.
        unsafe { (*(*own as *const ffi::sqlite3_io_methods)).xShmMap }
    });
    drop(all);
    match real {
        // Safe: the arguments are passed on as they came.
        Some(real) => unsafe { real(file, region, size, extend, out) },
        None => ffi::SQLITE_ERROR,
    }
}

unsafe extern "C" fn delete(
    layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_dir: c_int,
) -> c_int {
    if let Some(code) = strike() {
        return code;
    }
    // Safe: the arguments are passed on as they came.
    unsafe {
        match (*default_layer()).xDelete {
            Some(real) => real(layer, name, sync_dir),
            None => ffi::SQLITE_ERROR,
        }
    }
}
