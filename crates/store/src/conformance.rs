//! What every adapter must do. A test of an adapter is one call of [`run`].

use std::sync::Barrier;

use crate::{Listed, ObjectStore, StoreError, list_all};

/// Runs the whole suite; `make` returns a new, empty store each time.
///
/// # Panics
///
/// Panics where the store differs from what the port promises.
pub fn run(make: impl Fn() -> Box<dyn ObjectStore>) {
    run_one_by_one(&make);
    one_of_many_writers_wins(&*make());
}

/// Runs all but the race: for stores that keep writers apart only where one comes after the other.
pub fn run_one_by_one(make: impl Fn() -> Box<dyn ObjectStore>) {
    puts_are_read_back(&*make());
    absent_means_absent(&*make());
    replacing_is_seen_by_every_read(&*make());
    ranges_are_exact(&*make());
    missing_objects_are_told(&*make());
    deletes_forgive_what_is_missing(&*make());
    names_stay_inside(&*make());
    listing_is_ordered_and_paged(&*make());
    readers_never_see_half_an_object(&*make());
    assert!(
        !make().describe().is_empty(),
        "a store can be named for people"
    );
}

fn puts_are_read_back(store: &dyn ObjectStore) {
    let big: Vec<u8> = (0..3_000_000_u32)
        .map(|i| i.to_le_bytes()[i as usize % 3])
        .collect();
    let many: Vec<&[u8]> = big.chunks(1000).collect();
    let table: [(&str, &str, &[&[u8]]); 6] = [
        ("no parts", "empty", &[]),
        ("empty parts", "dir/empty", &[b"", b""]),
        ("one part", "dir/one", &[b"hello"]),
        ("some empty", "dir/sub/some", &[b"", b"he", b"", b"llo"]),
        ("a big part", "dir/sub/big", &[&big]),
        ("more parts than one system call takes", "p/many", &many),
    ];
    for (what, name, parts) in table {
        store.put_if_absent(name, parts).expect(what);
        assert!(store.get(name).expect(what) == parts.concat(), "{what}");
        assert_eq!(
            store.head(name).expect(what),
            Some(parts.concat().len() as u64),
            "{what}"
        );
        store.put(&format!("{name}.again"), parts).expect(what);
        assert!(
            store.get(&format!("{name}.again")).expect(what) == parts.concat(),
            "{what}"
        );
    }
}

fn absent_means_absent(store: &dyn ObjectStore) {
    store
        .put_if_absent("a/b", &[b"first"])
        .expect("a free name");
    let again = store.put_if_absent("a/b", &[b"second"]);
    assert!(
        matches!(&again, Err(StoreError::AlreadyExists { name }) if name == "a/b"),
        "a taken name: {again:?}"
    );
    assert_eq!(store.get("a/b").expect("get"), b"first", "the first stays");
    store.delete_many(&["a/b".to_owned()]).expect("delete");
    store.put_if_absent("a/b", &[b"third"]).expect("free again");
    assert_eq!(store.get_range("a/b", 0..5).expect("range"), b"third");
}

fn replacing_is_seen_by_every_read(store: &dyn ObjectStore) {
    for (what, content) in [
        ("first", "one"),
        ("shorter", "2"),
        ("longer", "three and more"),
    ] {
        store.put("s/x", &[content.as_bytes()]).expect(what);
        let size = content.len() as u64;
        assert_eq!(store.get("s/x").expect(what), content.as_bytes(), "{what}");
        assert_eq!(
            store.get_range("s/x", 0..size).expect(what),
            content.as_bytes(),
            "{what}"
        );
        assert_eq!(store.head("s/x").expect(what), Some(size), "{what}");
        let listed = store.list("s/", None, 10).expect(what);
        assert_eq!(
            listed,
            [Listed {
                name: "s/x".to_owned(),
                size
            }],
            "{what}"
        );
    }
}

fn ranges_are_exact(store: &dyn ObjectStore) {
    store.put_if_absent("r", &[b"0123456789"]).expect("put");
    for (what, range, want) in [
        ("all", 0..10, "0123456789"),
        ("middle", 3..7, "3456"),
        ("last", 9..10, "9"),
        ("nothing", 4..4, ""),
        ("nothing at the end", 10..10, ""),
    ] {
        assert_eq!(
            store.get_range("r", range).expect(what),
            want.as_bytes(),
            "{what}"
        );
    }
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
    let outside = [
        ("past the end", 8..11),
        ("beyond", 11..11),
        ("backwards", 5..4),
        ("huge", 0..u64::MAX),
    ];
    for (what, range) in outside {
        let got = store.get_range("r", range.clone());
        assert!(
            matches!(&got, Err(StoreError::OutOfRange { size: 10, start, end, .. })
                if (*start, *end) == (range.start, range.end)),
            "{what}: {got:?}"
        );
    }
}

fn missing_objects_are_told(store: &dyn ObjectStore) {
    store.put_if_absent("here/x", &[b"x"]).expect("put");
    for name in ["gone", "here", "here/y", "here/x/y", "no/such/place"] {
        let got = store.get(name);
        assert!(
            matches!(got, Err(StoreError::NotFound { .. })),
            "get {name}: {got:?}"
        );
        let got = store.get_range(name, 0..1);
        assert!(
            matches!(got, Err(StoreError::NotFound { .. })),
            "get_range {name}: {got:?}"
        );
        assert_eq!(store.head(name).expect(name), None, "head {name}");
    }
}

fn deletes_forgive_what_is_missing(store: &dyn ObjectStore) {
    for name in ["d/a", "d/b", "d/c", "e/a"] {
        store.put_if_absent(name, &[name.as_bytes()]).expect(name);
    }
    assert_eq!(store.get_range("d/a", 0..3).expect("range"), b"d/a");
    let names = ["d/a", "d/nothing", "e/a", "f/nothing", "d/c/below"].map(str::to_owned);
    for time in ["first", "second"] {
        store.delete_many(&names).expect(time);
        let left: Vec<_> = list_all(store, "")
            .expect(time)
            .into_iter()
            .map(|l| l.name)
            .collect();
        assert_eq!(left, ["d/b", "d/c"], "{time}");
        assert!(
            matches!(store.get("d/a"), Err(StoreError::NotFound { .. })),
            "{time}"
        );
        assert!(
            matches!(
                store.get_range("d/a", 0..3),
                Err(StoreError::NotFound { .. })
            ),
            "{time}: no read of a deleted object, whatever was cached"
        );
    }
    store.delete_many(&[]).expect("none at all");
}

fn names_stay_inside(store: &dyn ObjectStore) {
    let long = "x".repeat(201);
    let bad = [
        "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "a b", "a\\b", "a\0b",
        "ä", "a:b", "tmp", "tmp/a", &long,
    ];
    for name in bad {
        let refused = |got: Result<(), StoreError>, what: &str| {
            assert!(
                matches!(got, Err(StoreError::BadName { .. })),
                "{what} {name:?}: {got:?}"
            );
        };
        refused(store.put_if_absent(name, &[b"x"]), "put_if_absent");
        refused(store.put(name, &[b"x"]), "put");
        refused(store.get(name).map(drop), "get");
        refused(store.get_range(name, 0..0).map(drop), "get_range");
        refused(store.head(name).map(drop), "head");
        refused(store.delete_many(&[name.to_owned()]), "delete_many");
    }
    for prefix in ["../", "a/../b", "/", "a b", "a//"] {
        let got = store.list(prefix, None, 1);
        assert!(
            matches!(got, Err(StoreError::BadName { .. })),
            "list {prefix:?}: {got:?}"
        );
    }
    for name in ["A-z_0.9", ".hidden", "...", "tmpx", "a/tmp", "-"] {
        store.put_if_absent(name, &[b"x"]).expect(name);
    }
}

fn listing_is_ordered_and_paged(store: &dyn ObjectStore) {
    // '-' and '.' sort before '/', digits and letters after it: a walk of
    // directories gets this wrong unless it takes care.
    let mut names: Vec<String> = [
        "a-b", "a.b", "a/b", "a/b.c", "a/c/d", "a/c-d", "a/c.d/e", "a0", "ab/c", "b", "B/x", "_",
    ]
    .map(str::to_owned)
    .to_vec();
    names.extend((0..30).map(|i| format!("p/{:02x}/{i:04}", i % 7)));
    for (i, name) in names.iter().rev().enumerate() {
        store.put_if_absent(name, &[&vec![0; i]]).expect(name);
    }
    names.sort();
    let list = |prefix: &str, after: Option<&str>, limit| -> Vec<String> {
        let page = store.list(prefix, after, limit).expect("list");
        page.into_iter().map(|l| l.name).collect()
    };
    for prefix in [
        "", "a", "a/", "a/c", "a/c/", "a/b", "a.", "p", "p/", "p/03", "p/03/0", "none", "b/none/",
        "a/b/", ".",
    ] {
        let want: Vec<_> = names
            .iter()
            .filter(|n| n.starts_with(prefix))
            .cloned()
            .collect();
        assert_eq!(list(prefix, None, usize::MAX), want, "under {prefix:?}");
        for limit in [1, 2, 5] {
            let mut got: Vec<String> = Vec::new();
            loop {
                let page = list(prefix, got.last().map(String::as_str), limit);
                assert!(page.len() <= limit, "under {prefix:?}, {limit} at a time");
                if page.is_empty() {
                    break;
                }
                got.extend(page);
            }
            assert_eq!(got, want, "under {prefix:?}, {limit} at a time");
        }
    }
    for after in [
        "",
        "a",
        "a/",
        "a/b",
        "a/bb",
        "a/c",
        "a/c/",
        "a/c/z",
        "a/z",
        "p/03/zzzz",
        "z",
        "\u{10ffff}",
    ] {
        for prefix in ["", "a/", "p/03"] {
            let want: Vec<_> = names
                .iter()
                .filter(|n| n.starts_with(prefix) && n.as_str() > after)
                .cloned()
                .collect();
            assert_eq!(
                list(prefix, Some(after), usize::MAX),
                want,
                "under {prefix:?} after {after:?}"
            );
        }
    }
    assert!(list("", None, 0).is_empty(), "a page of none");
    assert_eq!(list_all(store, "").expect("all").len(), names.len());
}

fn one_of_many_writers_wins(store: &dyn ObjectStore) {
    const WRITERS: u8 = 8;
    for round in 0..8 {
        let name = format!("race/{round}");
        let start = Barrier::new(WRITERS.into());
        let wins: Vec<u8> = std::thread::scope(|scope| {
            let (name, start) = (&name, &start);
            let threads: Vec<_> = (0..WRITERS)
                .map(|me| {
                    scope.spawn(move || {
                        start.wait();
                        match store.put_if_absent(name, &[&[me; 5000]]) {
                            Ok(()) => Some(me),
                            Err(StoreError::AlreadyExists { .. }) => None,
                            Err(error) => panic!("writer {me}: {error:?}"),
                        }
                    })
                })
                .collect();
            threads
                .into_iter()
                .filter_map(|t| t.join().expect("writer"))
                .collect()
        });
        assert_eq!(wins.len(), 1, "round {round}: exactly one writer wins");
        assert!(
            store.get(&name).expect("get") == [wins[0]; 5000],
            "round {round}: the winner's bytes"
        );
    }
}

fn readers_never_see_half_an_object(store: &dyn ObjectStore) {
    const SIZE: usize = 100_000;
    let content = |byte: u8| vec![byte; SIZE];
    store.put("swap", &[&content(0)]).expect("put");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for byte in 1..40 {
                store.put("swap", &[&content(byte)]).expect("put");
            }
        });
        let mut newest = 0;
        let mut read = |got: Vec<u8>| {
            assert_eq!(got.len(), SIZE, "never short");
            assert!(got.iter().all(|b| *b == got[0]), "never mixed");
            assert!(got[0] >= newest, "never an older one again");
            newest = got[0];
        };
        while !writer.is_finished() {
            read(store.get("swap").expect("get"));
            read(store.get_range("swap", 0..SIZE as u64).expect("range"));
        }
    });
    assert!(
        store.get_range("swap", 0..SIZE as u64).expect("range") == content(39),
        "the last write stays"
    );
}
