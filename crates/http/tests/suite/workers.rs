//! Background workers: who may see them, and that one which does not do its work is no secret.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use emberkeep_model::Role;
use emberkeep_service::{Desk as WorkerDesk, Supervisor, Worker};

use crate::desk::Desk;
use crate::house::House;

/// A worker that never gets far.
struct Broken;

impl Worker for Broken {
    fn name(&self) -> String {
        "broken".to_owned()
    }

    fn run<'a, 'b>(&'a self, _desk: WorkerDesk) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { panic!("out of luck") })
    }
}

#[tokio::test]
async fn workers_are_listed_for_administrators() {
    let desk = Desk::of(House::new().await).await;
    let house = &desk.house;
    let project = house.app.identity.project(&desk.project).await;
    let project = project.expect("the project of the desk");
    house.user("root", &project, Role::Admin).await;
    let refused = house.get("/api/v1/workers", &desk.token).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let root = house.token("root").await;
    let listed = house.get("/api/v1/workers", &root).await.json();
    let names: Vec<_> = listed["workers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|worker| worker["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        names,
        [
            "auto-bind",
            "damage",
            "retention",
            "scheduler",
            "scrub",
            "tasks"
        ]
    );
}

#[tokio::test]
async fn a_worker_that_keeps_ending_is_seen_in_readiness_and_metrics() {
    let house = House::new().await;
    assert_eq!(house.get("/readyz", "").await.status, StatusCode::OK);
    let table = Arc::clone(house.app.service.worker_table());
    let mut supervisor = Supervisor::new(table);
    supervisor.start(Broken);
    let begun = Instant::now();
    loop {
        let ready = house.get("/readyz", "").await;
        if ready.status == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(
                String::from_utf8_lossy(&ready.body),
                "background worker broken is restarting: it panicked: out of luck"
            );
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it is seen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let metrics = house.get("/metrics", "").await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    for line in [
        "emberkeep_worker_restarts_total{worker=\"broken\"} ",
        "emberkeep_worker_errors_total{worker=\"broken\"} ",
        "emberkeep_worker_last_error_timestamp_seconds{worker=\"broken\"} ",
        "emberkeep_worker_up{worker=\"scheduler\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    supervisor.stop().await;
    assert_eq!(house.get("/readyz", "").await.status, StatusCode::OK);
}
