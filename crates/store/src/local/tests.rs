use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::list_all;

fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("read_dir");
    entries
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn conforms() {
    let scratch = tempfile::tempdir().expect("scratch");
    let count = std::cell::Cell::new(0);
    crate::conformance::run(|| {
        count.set(count.get() + 1);
        Box::new(LocalStore::create(scratch.path().join(count.get().to_string())).expect("create"))
    });
}

#[test]
fn objects_outlive_the_store_that_wrote_them() {
    let scratch = tempfile::tempdir().expect("scratch");
    let root = scratch.path().join("some/where");
    assert!(matches!(
        LocalStore::open(&root),
        Err(StoreError::NotFound { .. })
    ));
    LocalStore::create(&root)
        .expect("create")
        .put_if_absent("a/b", &[b"x"])
        .expect("put");
    for store in [LocalStore::open(&root), LocalStore::create(&root)] {
        assert_eq!(store.expect("open").get("a/b").expect("get"), b"x");
    }
    fs::write(scratch.path().join("file"), b"").expect("file");
    assert!(matches!(
        LocalStore::open(scratch.path().join("file")),
        Err(StoreError::Failed { .. })
    ));
    let mode = |path: &str| {
        fs::metadata(root.join(path))
            .expect(path)
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode(""), mode("a"), mode("a/b")), (0o700, 0o700, 0o600));
}

#[test]
fn failed_puts_leave_nothing() {
    let scratch = tempfile::tempdir().expect("scratch");
    let store = LocalStore::create(scratch.path()).expect("create");
    store.put("dir/x", &[b"x"]).expect("put");
    for (what, name) in [
        ("a directory is in the way", "dir"),
        ("an object is in the way", "dir/x/y"),
    ] {
        assert!(store.put(name, &[b"y"]).is_err(), "put: {what}");
        assert!(
            store.put_if_absent(name, &[b"y"]).is_err(),
            "put_if_absent: {what}"
        );
    }
    assert!(store.put_if_absent("dir/x", &[b"y"]).is_err(), "taken");
    assert!(
        names_in(&scratch.path().join("tmp")).is_empty(),
        "no unfinished file stays"
    );
    assert_eq!(list_all(&store, "").expect("list").len(), 1);
}

#[test]
fn leftovers_go_once_their_writer_is_gone() {
    let scratch = tempfile::tempdir().expect("scratch");
    let store = LocalStore::create(scratch.path()).expect("create");
    store.put("x", &[b"x"]).expect("put");
    let tmp = scratch.path().join("tmp");
    let mut child = std::process::Command::new("true").spawn().expect("spawn");
    let dead = child.id();
    child.wait().expect("wait");
    let realm = &store.temps.realm;
    let hours_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 60 * 60);
    let table = [
        ("of this process", store.temps.next(), None, true),
        (
            "of an ended process",
            format!("{realm}.{dead}.1.0"),
            None,
            false,
        ),
        (
            "of an earlier process of our id",
            format!("{realm}.{}.1.0", std::process::id()),
            None,
            false,
        ),
        (
            "of another boot, fresh",
            "other-boot.1.1.1.0".to_owned(),
            None,
            true,
        ),
        (
            "of another boot, old",
            "other-boot.1.1.1.1".to_owned(),
            Some(hours_ago),
            false,
        ),
        ("of nobody, fresh", "strange".to_owned(), None, true),
        (
            "of nobody, old",
            "stranger".to_owned(),
            Some(hours_ago),
            false,
        ),
    ];
    for (what, name, modified, _) in &table {
        let file = File::create(tmp.join(name)).expect(what);
        modified.map(|time| file.set_modified(time).expect(what));
    }
    assert_eq!(
        list_all(&store, "").expect("list").len(),
        1,
        "unfinished files are not listed"
    );
    LocalStore::open(scratch.path()).expect("open");
    for (what, name, _, stays) in table {
        assert_eq!(tmp.join(name).exists(), stays, "{what}");
    }
}

#[test]
fn strangers_in_the_directory_are_not_listed() {
    let scratch = tempfile::tempdir().expect("scratch");
    let store = LocalStore::create(scratch.path()).expect("create");
    store.put("a", &[b"x"]).expect("put");
    fs::create_dir(scratch.path().join("lost+found")).expect("mkdir");
    fs::write(scratch.path().join("lost+found/x"), b"x").expect("write");
    fs::write(scratch.path().join("with space"), b"x").expect("write");
    std::os::unix::fs::symlink("nowhere", scratch.path().join("dangling")).expect("symlink");
    let names: Vec<_> = list_all(&store, "")
        .expect("list")
        .into_iter()
        .map(|l| l.name)
        .collect();
    assert_eq!(names, ["a"]);
}

#[test]
fn another_store_on_the_same_directory_is_noticed() {
    let scratch = tempfile::tempdir().expect("scratch");
    let [ours, theirs] = [(); 2].map(|()| LocalStore::create(scratch.path()).expect("create"));
    ours.put("d/x", &[b"one"]).expect("put");
    assert_eq!(ours.get_range("d/x", 0..3).expect("range"), b"one");
    theirs.put("d/x", &[b"two!"]).expect("put");
    assert_eq!(
        ours.get_range("d/x", 0..4).expect("range"),
        b"two!",
        "replaced elsewhere"
    );
    theirs.delete_many(&["d/x".to_owned()]).expect("delete");
    assert!(
        matches!(
            ours.get_range("d/x", 0..1),
            Err(StoreError::NotFound { .. })
        ),
        "deleted elsewhere"
    );
    fs::remove_dir(scratch.path().join("d")).expect("rmdir");
    ours.put_if_absent("d/x", &[b"three"])
        .expect("the directory is made again");
}

#[test]
fn a_store_that_is_gone_is_not_an_empty_one() {
    let scratch = tempfile::tempdir().expect("scratch");
    let store = LocalStore::create(scratch.path().join("store")).expect("create");
    store.put("d/x", &[b"x"]).expect("put");
    fs::rename(scratch.path().join("store"), scratch.path().join("away")).expect("rename");
    let errors = [
        ("get", store.get("d/x").err()),
        ("get_range", store.get_range("d/x", 0..1).err()),
        ("head", store.head("d/x").err()),
        ("list", store.list("d/", None, 10).err()),
        ("put", store.put("d/y", &[b"y"]).err()),
        ("put_if_absent", store.put_if_absent("d/y", &[b"y"]).err()),
    ];
    for (what, error) in errors {
        assert!(
            matches!(error, Some(StoreError::Failed { .. })),
            "{what}: {error:?}"
        );
    }
    fs::rename(scratch.path().join("away"), scratch.path().join("store")).expect("rename");
    fs::remove_dir(scratch.path().join("store/tmp")).expect("rmdir");
    store
        .put("d/y", &[b"y"])
        .expect("works again, its own directory made anew");
}

#[test]
fn few_files_stay_open() {
    let scratch = tempfile::tempdir().expect("scratch");
    let store = LocalStore::create(scratch.path()).expect("create");
    for round in 0..2 {
        for i in 0..100_u32 {
            let name = format!("n/{i}");
            if round == 0 {
                store.put(&name, &[&i.to_le_bytes()]).expect("put");
            }
            assert_eq!(
                store.get_range(&name, 0..4).expect("range"),
                i.to_le_bytes()
            );
        }
    }
    let held = fs::read_dir("/proc/self/fd")
        .expect("fds")
        .flatten()
        .filter(|fd| fs::read_link(fd.path()).is_ok_and(|path| path.starts_with(scratch.path())));
    assert_eq!(held.count(), 32);
}

#[test]
fn system_errors_are_worded_for_the_caller() {
    let word = |errno: rustix::io::Errno| match failure("n", io::Error::from(errno)) {
        StoreError::NotFound { .. } => "not found",
        StoreError::AlreadyExists { .. } => "already exists",
        StoreError::NoSpace { .. } => "no space",
        StoreError::Denied { .. } => "denied",
        StoreError::BadName { .. } | StoreError::OutOfRange { .. } => "never",
        StoreError::Failed { .. } => "failed",
    };
    use rustix::io::Errno as E;
    for (errno, want) in [
        (E::NOENT, "not found"),
        (E::EXIST, "already exists"),
        (E::NOSPC, "no space"),
        (E::DQUOT, "no space"),
        (E::ACCESS, "denied"),
        (E::PERM, "denied"),
        (E::ROFS, "denied"),
        (E::IO, "failed"),
    ] {
        assert_eq!(word(errno), want, "{errno}");
    }
}
