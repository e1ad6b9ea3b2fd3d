//! Backups.

use axum::http::StatusCode;
use emberkeep_service::BackupRecord;
use emberkeep_service::query::Page;
use emberkeep_wire::cinder::{
    BackupAction, BackupSummary, Listing, RecordView, Resource, RestoreStarted, Settled,
    ShownBackups, backup_edit, new_backup, restore_to,
};

use super::call::{Answer, Call, accepted, backup_id, json, keyed, written};
use super::query::{self, Question};

/// `GET /backups` and `/backups/detail`.
pub(super) async fn list(call: &Call, detail: bool) -> Answer {
    let admin = call.caller.is_admin();
    let listing = Listing::parse(&call.query, Resource::Backup, call.version, admin)?;
    let page = match query::backups(&listing)? {
        Question::Ask(query) => {
            call.service()
                .backups(&call.caller, query, query::reach(&listing))
                .await?
        }
        Question::Nothing => Page {
            items: Vec::new(),
            total: Some(0),
            is_cut: false,
        },
    };
    let listing = listing.cut_short(page.is_cut);
    let shown = page.items.iter().map(AsRef::as_ref);
    if detail {
        let owners = call.service().may_see_owners(&call.caller);
        let view = ShownBackups::new(&call.site, call.version, owners);
        let body = view.details(shown, &listing, page.total, &call.site);
        return Ok(written(StatusCode::OK, body));
    }
    let last = page.items.last().map(|backup| backup.id.to_string());
    let items: Vec<_> = shown.map(|b| BackupSummary::new(b, &call.site)).collect();
    let page = listing.page(
        Resource::Backup,
        "backups",
        items,
        last.as_deref(),
        page.total,
        &call.site,
    );
    Ok(json(StatusCode::OK, &page))
}

/// `POST /backups`.
pub(super) async fn create(call: &Call) -> Answer {
    let new = new_backup(&call.body, call.version)?;
    let backup = call.service().create_backup(&call.caller, new).await?;
    keyed(
        StatusCode::ACCEPTED,
        &BackupSummary::new(&backup, &call.site),
    )
}

/// `GET /backups/{id}`.
pub(super) async fn show(call: &Call, id: &str) -> Answer {
    let backup = call.service().backup(&call.caller, backup_id(id)?).await?;
    let owners = call.service().may_see_owners(&call.caller);
    let view = ShownBackups::new(&call.site, call.version, owners);
    Ok(written(StatusCode::OK, view.detail(&backup)))
}

/// `PUT /backups/{id}`.
pub(super) async fn update(call: &Call, id: &str) -> Answer {
    let edit = backup_edit(&call.body, call.version)?;
    let backup = call
        .service()
        .edit_backup(&call.caller, backup_id(id)?, edit)
        .await?;
    keyed(StatusCode::OK, &BackupSummary::new(&backup, &call.site))
}

/// `DELETE /backups/{id}`.
pub(super) async fn delete(call: &Call, id: &str) -> Answer {
    call.service()
        .delete_backup(&call.caller, backup_id(id)?)
        .await?;
    accepted()
}

/// `POST /backups/{id}/restore`.
pub(super) async fn restore(call: &Call, id: &str) -> Answer {
    let to = restore_to(&call.body, call.version)?;
    let restore = call
        .service()
        .restore_backup(&call.caller, backup_id(id)?, to)
        .await?;
    let name = restore.volume.name.as_deref();
    let started = RestoreStarted::new(restore.backup.id, restore.volume.id, name);
    keyed(StatusCode::ACCEPTED, &started)
}

/// `POST /backups/{id}/action`.
pub(super) async fn act(call: &Call, id: &str) -> Answer {
    let action = BackupAction::read(&call.body, call.version)?;
    let id = backup_id(id)?;
    let (service, caller) = (call.service(), &call.caller);
    match action {
        BackupAction::ResetStatus(settled) => {
            let available = settled == Settled::Available;
            service.reset_backup(caller, id, available).await?;
        }
        BackupAction::ForceDelete => service.force_delete_backup(caller, id).await?,
    }
    accepted()
}

/// `GET /backups/{id}/export_record`.
pub(super) async fn export(call: &Call, id: &str) -> Answer {
    let record = call
        .service()
        .export_backup(&call.caller, backup_id(id)?)
        .await?;
    let view = RecordView {
        backup_service: record.service,
        backup_url: record.url,
    };
    keyed(StatusCode::OK, &view)
}

/// `POST /backups/import_record`.
pub(super) async fn import(call: &Call) -> Answer {
    let asked = RecordView::read(&call.body, call.version)?;
    let record = BackupRecord {
        service: asked.backup_service,
        url: asked.backup_url,
    };
    let imported = call.service().import_backup(&call.caller, record).await?;
    let mut view = BackupSummary::new(&imported.backup, &call.site);
    // Cinder fills its row only after it has answered.
    if !imported.revived {
        view.name = None;
    }
    keyed(StatusCode::CREATED, &view)
}
