//! Turning what a service says into values or words.

use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::http;
use crate::error::{Refusal, SdkError};

/// Lets a success pass; anything else becomes an error in the service's own words.
pub(super) async fn accept(asked: String, response: Response) -> Result<Response, SdkError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let request_id = [
        "x-openstack-request-id",
        "x-compute-request-id",
        "x-request-id",
    ]
    .iter()
    .find_map(|name| response.headers().get(*name))
    .and_then(|value| value.to_str().ok())
    .map(str::to_owned);
    // The status alone says enough if the words after it cannot be read.
    let body = http::read(&asked, response).await.unwrap_or_default();
    let (code, message) = refusal_words(status, &body);
    let refusal = Refusal {
        asked,
        status: status.as_u16(),
        code,
        message,
        request_id,
    };
    Err(SdkError::Refused {
        refusal: Box::new(refusal),
    })
}

/// Reads an answer as JSON, or says what it is instead.
pub(super) fn parse<T: DeserializeOwned>(asked: &str, body: &[u8]) -> Result<T, SdkError> {
    serde_json::from_slice(body).map_err(|cause| SdkError::BadAnswer {
        asked: asked.to_owned(),
        what: if body.trim_ascii().is_empty() {
            "it is empty".to_owned()
        } else if body.trim_ascii_start().starts_with(b"<") {
            "it is a web page; is this the address of the service?".to_owned()
        } else if cause.is_eof() {
            "it ends too early".to_owned()
        } else {
            cause.to_string()
        },
    })
}

/// Reads code and words out of any of the error bodies that the four APIs have.
fn refusal_words(status: StatusCode, body: &[u8]) -> (Option<String>, String) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let parsed: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    // CBR: {"error_code", "error_msg"}.
    if let Some(message) = parsed.get("error_msg").and_then(text) {
        return (parsed.get("error_code").and_then(text), message);
    }
    // Cinder: {"itemNotFound": {"code": 404, "message"}}; identity and native: {"error": {…}}.
    if let Some((kind, inner)) = parsed.as_object().and_then(|object| object.iter().next())
        && let Some(message) = inner.get("message").and_then(text)
    {
        let own = inner.get("code").and_then(text);
        let code = own.or_else(|| (kind != "error").then(|| kind.clone()));
        return (code, message);
    }
    let plain = String::from_utf8_lossy(body);
    let plain = plain.trim();
    let message = if plain.is_empty() || plain.starts_with(['<', '{']) || plain.len() > 300 {
        status.to_string()
    } else {
        plain.to_owned()
    };
    (None, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_says_why_in_its_own_form() {
        for (what, body, code, message) in [
            (
                "cinder",
                r#"{"itemNotFound":{"code":404,"message":"Backup X could not be found."}}"#,
                Some("itemNotFound"),
                "Backup X could not be found.",
            ),
            (
                "cbr",
                r#"{"error_code":"BackupService.6105","error_msg":"no vault"}"#,
                Some("BackupService.6105"),
                "no vault",
            ),
            (
                "a gateway of Huawei's",
                r#"{"unauthorized":{"code":"401","message":"Malformed request url"}}"#,
                Some("401"),
                "Malformed request url",
            ),
            (
                "identity",
                r#"{"error":{"code":401,"message":"No.","title":"Unauthorized"}}"#,
                None,
                "No.",
            ),
            (
                "native",
                r#"{"error":{"code":"not_found","message":"no task","request_id":"req-1"}}"#,
                Some("not_found"),
                "no task",
            ),
            ("text", "Not here", None, "Not here"),
            ("html", "<html>", None, "404 Not Found"),
            ("nothing", "", None, "404 Not Found"),
            ("other json", "{}", None, "404 Not Found"),
        ] {
            let (got_code, got_message) = refusal_words(StatusCode::NOT_FOUND, body.as_bytes());
            assert_eq!(
                (got_code.as_deref(), got_message.as_str()),
                (code, message),
                "{what}"
            );
        }
    }

    #[test]
    fn what_is_no_json_is_told_apart() {
        for (body, want) in [
            ("", "it is empty"),
            (" \n<html>", "it is a web page"),
            ("{\"a\":", "it ends too early"),
            ("{]", "key must be a string"),
        ] {
            let words = parse::<Value>("GET /x", body.as_bytes())
                .expect_err("no JSON")
                .to_string();
            assert!(words.contains(want), "{body}: {words}");
        }
    }
}
