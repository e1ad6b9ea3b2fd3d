//! The parts of the service, and the pools that volumes are kept in.

use axum::http::StatusCode;
use axum::response::Response;
use emberkeep_service::{Binary, ServiceState};
use emberkeep_wire::cinder::ask::ServiceSwitch;
use emberkeep_wire::cinder::{
    Fault, Field, PoolView, ServiceSwitched, ServiceView, parse_reason, query_flag, query_text,
};
use serde_json::{Map, Value};

use super::call::{Answer, Call, json, keyed, unknown};

/// `GET /os-services`.
pub(super) async fn list(call: &Call) -> Answer {
    let (host, binary) = (
        query_text(&call.query, "host"),
        query_text(&call.query, "binary"),
    );
    let services = call.service().services(&call.caller).await?;
    let views: Vec<_> = services
        .iter()
        .filter(|one| {
            let at = host.as_deref();
            // A host without its back end names all of them.
            let here = one.binary.host();
            at.is_none_or(|at| at == here || here.split('@').next() == Some(at))
        })
        .filter(|one| {
            binary
                .as_deref()
                .is_none_or(|name| name == one.binary.word())
        })
        .map(|one| view(call, one))
        .collect();
    keyed(StatusCode::OK, &views)
}

fn view(call: &Call, service: &ServiceState) -> ServiceView {
    let keeps_volumes = service.binary == Binary::Volume;
    ServiceView {
        binary: service.binary.word().to_owned(),
        host: service.binary.host().to_owned(),
        zone: Some(call.service().settings().availability_zone.clone()),
        status: status(service.disabled).to_owned(),
        state: "up".to_owned(),
        updated_at: Some(service.updated_at.into()),
        cluster: Field::null_if(call.since(7)),
        disabled_reason: service.disabled_reason.clone(),
        replication_status: keeps_volumes.then(|| "disabled".to_owned()),
        active_backend_id: Field::null_if(keeps_volumes),
        frozen: keeps_volumes.then_some(false),
        backend_state: (keeps_volumes && call.since(49)).then(|| "up".to_owned()),
        more: serde_json::Map::new(),
    }
}

fn status(disabled: bool) -> &'static str {
    if disabled { "disabled" } else { "enabled" }
}

/// `PUT /os-services/enable`, `disable` and `disable-log-reason`.
pub(super) async fn switch(call: &Call, verb: &str) -> Answer {
    let (disabled, reason) = match verb {
        "enable" => (false, None),
        "disable" => (true, None),
        "disable-log-reason" => (true, parse_reason(&call.body)?),
        "freeze" | "thaw" => {
            // Whom this is refused to as a matter of policy hears that first.
            call.service().services(&call.caller).await?;
            let words =
                "Invalid input received: no host here replicates, so none can be frozen or thawed.";
            return Err(Fault::bad_request(words).into());
        }
        _ => return Ok(unknown()),
    };
    let ServiceSwitch { binary, host, .. } = ServiceSwitch::read(&call.body)?;
    let state = call
        .service()
        .switch_service(&call.caller, &binary, &host, disabled, reason)
        .await?;
    Ok(switched(&state, &binary, verb))
}

fn switched(state: &ServiceState, binary: &str, verb: &str) -> Response {
    let told = verb == "disable-log-reason";
    let switched = ServiceSwitched {
        binary: binary.to_owned(),
        disabled: state.disabled,
        disabled_reason: state.disabled_reason.clone().filter(|_| told),
        host: state.binary.host().to_owned(),
        service: binary.to_owned(),
        status: status(state.disabled).to_owned(),
    };
    json(StatusCode::OK, &switched)
}

/// `GET /scheduler-stats/get_pools`: one, the files in the data directory.
pub(super) async fn pools(call: &Call) -> Answer {
    call.service().may_see_pools(&call.caller)?;
    let detail = query_flag(&call.query, "detail")?;
    let capabilities = detail.then(|| {
        let facts = [
            ("pool_name", Value::from("files")),
            ("volume_backend_name", Value::from("files")),
            ("storage_protocol", Value::from("file")),
            ("vendor_name", Value::from("Emberkeep")),
            ("driver_version", Value::from(env!("CARGO_PKG_VERSION"))),
            // How much room a sparse file will take is not known beforehand.
            ("total_capacity_gb", Value::from("unknown")),
            ("free_capacity_gb", Value::from("unknown")),
            ("reserved_percentage", Value::from(0)),
            ("thin_provisioning_support", Value::from(true)),
            ("QoS_support", Value::from(false)),
            ("multiattach", Value::from(false)),
            ("backend_state", Value::from("up")),
        ];
        let facts: Map<String, Value> = facts
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        facts
    });
    let pool = PoolView {
        name: "emberkeep@files#files".to_owned(),
        capabilities,
    };
    let wanted = query_text(&call.query, "name");
    let found = wanted.is_none_or(|name| name == pool.name);
    let pools = [pool];
    keyed(StatusCode::OK, if found { &pools[..] } else { &[] })
}
