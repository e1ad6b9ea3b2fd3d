//! The page for people under `/console`: three files without a build step, which talk to the same
//! APIs as every other client and are allowed to load nothing from elsewhere.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::endpoint::get;
use crate::routes::Routes;

const PAGE: &str = include_str!("console/index.html");
const SCRIPT: &str = include_str!("console/app.js");
const STYLE: &str = include_str!("console/style.css");

/// Nothing inline, nothing from elsewhere, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Returns the routes, to be nested at `/console`.
pub fn router() -> Routes {
    Routes::of(vec![
        get("/", || async { file("text/html; charset=utf-8", PAGE) })
            .about("Shows the page for people.")
            .text("text/html")
            .open(),
        get("/app.js", || async {
            file("text/javascript; charset=utf-8", SCRIPT)
        })
        .about("A part of that page.")
        .text("text/javascript")
        .open(),
        get("/style.css", || async {
            file("text/css; charset=utf-8", STYLE)
        })
        .about("A part of that page.")
        .text("text/css")
        .open(),
    ])
    .shaped(|router| {
        router.fallback(|| async { (StatusCode::NOT_FOUND, "There is no such page.\n") })
    })
}

fn file(kind: &'static str, content: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        // The three belong together: none may outlive an upgrade in a cache.
        (CACHE_CONTROL, "no-cache"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, content).into_response()
}
