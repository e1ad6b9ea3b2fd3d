//! Quota sets of projects, and the classes they fall back to.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use emberkeep_service::QuotaLine;
use emberkeep_wire::cinder::ask::{NewClassQuotas, NewQuotas};
use emberkeep_wire::cinder::{ClassQuotas, QuotaForm, QuotaSetView, query_flag};

use super::call::{Answer, Call, keyed, project_id};

/// `GET /os-quota-sets/{project}`.
pub(super) async fn show(call: &Call, id: &str) -> Answer {
    let form = if query_flag(&call.query, "usage")? {
        QuotaForm::Usage
    } else {
        QuotaForm::Limits
    };
    let lines = call
        .service()
        .quota_set(&call.caller, &project_id(id)?)
        .await?;
    keyed(StatusCode::OK, &view(Some(id), form, lines))
}

/// `GET /os-quota-sets/{project}/defaults`.
pub(super) async fn defaults(call: &Call, id: &str) -> Answer {
    let lines = call.service().quota_defaults(&call.caller).await?;
    keyed(StatusCode::OK, &view(Some(id), QuotaForm::Limits, lines))
}

/// `PUT /os-quota-sets/{project}`.
pub(super) async fn update(call: &Call, id: &str) -> Answer {
    let NewQuotas(wanted) = NewQuotas::read(&call.body)?;
    let lines = call
        .service()
        .set_quotas(&call.caller, &project_id(id)?, &wanted)
        .await?;
    keyed(StatusCode::OK, &view(None, QuotaForm::Limits, lines))
}

/// `DELETE /os-quota-sets/{project}`.
pub(super) async fn delete(call: &Call, id: &str) -> Answer {
    call.service()
        .reset_quotas(&call.caller, &project_id(id)?)
        .await?;
    Ok(StatusCode::OK.into_response())
}

/// `GET /os-quota-class-sets/{class}`.
pub(super) async fn class(call: &Call, name: &str) -> Answer {
    let lines = call.service().quota_class(&call.caller, name).await?;
    let view = view(Some(name), QuotaForm::Limits, lines);
    keyed(StatusCode::OK, &ClassQuotas(view))
}

/// `PUT /os-quota-class-sets/{class}`.
pub(super) async fn update_class(call: &Call, name: &str) -> Answer {
    let NewClassQuotas(wanted) = NewClassQuotas::read(&call.body)?;
    let lines = call
        .service()
        .set_quota_class(&call.caller, name, &wanted)
        .await?;
    let view = view(None, QuotaForm::Limits, lines);
    keyed(StatusCode::OK, &ClassQuotas(view))
}

fn view(id: Option<&str>, form: QuotaForm, lines: Vec<QuotaLine>) -> QuotaSetView {
    QuotaSetView {
        id: id.map(str::to_owned),
        form,
        lines: lines
            .into_iter()
            .map(|line| (line.name, line.limit, line.in_use))
            .collect(),
    }
}
