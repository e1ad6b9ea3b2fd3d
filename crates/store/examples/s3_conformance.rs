//! Runs the conformance suite on a bucket: `s3_conformance s3://BUCKET/PREFIX`, with the
//! usual `AWS_*` variables. `tests-e2e/s3.py` runs it on the servers that are installed.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "an example that prints"
)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use emberkeep_store::{Exclusion, ObjectStore, S3Place, S3Store, conformance, list_all};

fn main() {
    let url = std::env::args().nth(1).expect("give s3://BUCKET/PREFIX");
    let next = AtomicU64::new(0);
    let open = || {
        let url = format!(
            "{url}/{}-{}",
            std::process::id(),
            next.fetch_add(1, Relaxed)
        );
        let place = S3Place::parse(&url).expect("an s3:// address");
        S3Store::open(place).expect("the bucket opens")
    };
    let store = open();
    let exclusion = store.exclusion().expect("the probe runs");
    assert_ne!(
        exclusion,
        Exclusion::None,
        "the server overwrites what it was asked not to"
    );
    // Larger than what goes in one request.
    let large = vec![9; (65 << 20) + 3];
    store
        .put_if_absent("large", &[&large])
        .expect("a large put");
    assert!(store.get("large").expect("a large get") == large);
    assert!(store.put_if_absent("large", &[&large[..5]]).is_err());
    store.delete_many(&["large".to_owned()]).expect("a delete");
    assert!(list_all(&store, "").expect("a listing").is_empty());
    if exclusion == Exclusion::Full {
        conformance::run(|| Box::new(open()));
        println!("{} conforms", store.describe());
    } else {
        conformance::run_one_by_one(|| Box::new(open()));
        println!(
            "{} conforms, but for writers that come at the same moment",
            store.describe()
        );
    }
}
