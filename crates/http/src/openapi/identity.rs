//! What identity serves.

use super::schema::Kind::{Flag, Text};
use super::schema::{Param, may};
use super::{Operation, bodies, op};

const NAMED: &[Param] = &[
    may("name", Text),
    may("domain_id", Text),
    may("enabled", Flag),
];
const ASSIGNMENTS: &[Param] = &[
    may("user.id", Text),
    may("scope.project.id", Text),
    may("role.id", Text),
    may("effective", Text),
    may("include_names", Text),
];

pub(super) const OPERATIONS: &[Operation] = &[
    op("get", "/", "Tells which versions there are.")
        .answers(&[300])
        .open(),
    op("get", "/v3", "Shows the version.").open(),
    op("get", "/v3/", "Shows the version.").open(),
    op("post", "/v3/auth/tokens", "Signs in.")
        .body(bodies::sign_in)
        .answers(&[201])
        .open(),
    op("get", "/v3/auth/tokens", "Shows what a token is good for."),
    op("delete", "/v3/auth/tokens", "Takes a token back.").answers(&[204]),
    op(
        "get",
        "/v3/auth/catalog",
        "Shows the catalogue of services.",
    ),
    op("get", "/v3/auth/projects", "Lists the caller's projects."),
    op("get", "/v3/auth/domains", "Lists the caller's domains."),
    op("get", "/v3/projects", "Lists projects.").query(NAMED),
    op("post", "/v3/projects", "Makes a project.")
        .body(bodies::project)
        .answers(&[201]),
    op("get", "/v3/projects/{project}", "Shows a project."),
    op("patch", "/v3/projects/{project}", "Changes a project.").body(bodies::project_change),
    op(
        "delete",
        "/v3/projects/{project}",
        "Removes a project that holds nothing.",
    )
    .answers(&[204]),
    op(
        "get",
        "/v3/projects/{project}/users/{user}/roles",
        "Lists the roles of a user in a project.",
    ),
    op(
        "put",
        "/v3/projects/{project}/users/{user}/roles/{role}",
        "Gives a role.",
    )
    .answers(&[204]),
    op(
        "get",
        "/v3/projects/{project}/users/{user}/roles/{role}",
        "Tells whether a user has a role.",
    )
    .answers(&[204]),
    op(
        "delete",
        "/v3/projects/{project}/users/{user}/roles/{role}",
        "Takes a role away.",
    )
    .answers(&[204]),
    op("get", "/v3/users", "Lists users.").query(NAMED),
    op("post", "/v3/users", "Makes a user.")
        .body(bodies::user)
        .answers(&[201]),
    op("get", "/v3/users/{user}", "Shows a user."),
    op("patch", "/v3/users/{user}", "Changes a user.").body(bodies::user_change),
    op("delete", "/v3/users/{user}", "Removes a user.").answers(&[204]),
    op(
        "get",
        "/v3/users/{user}/projects",
        "Lists a user's projects.",
    ),
    op(
        "get",
        "/v3/users/{user}/application_credentials",
        "Lists a user's application credentials.",
    )
    .query(NAMED),
    op(
        "post",
        "/v3/users/{user}/application_credentials",
        "Makes an application credential.",
    )
    .body(bodies::app_credential)
    .answers(&[201]),
    op(
        "get",
        "/v3/users/{user}/application_credentials/{id}",
        "Shows an application credential.",
    ),
    op(
        "delete",
        "/v3/users/{user}/application_credentials/{id}",
        "Removes an application credential.",
    )
    .answers(&[204]),
    op(
        "post",
        "/v3/users/{user}/password",
        "Changes the caller's own password.",
    )
    .body(bodies::password)
    .answers(&[204]),
    op("get", "/v3/roles", "Lists roles.").query(NAMED),
    op("get", "/v3/roles/{role}", "Shows a role."),
    op(
        "get",
        "/v3/role_assignments",
        "Lists who has which role where.",
    )
    .query(ASSIGNMENTS),
    op("get", "/v3/domains", "Lists domains.").query(NAMED),
    op("get", "/v3/domains/{domain}", "Shows a domain."),
    op("get", "/v3/services", "Lists services.").query(NAMED),
    op("get", "/v3/services/{service}", "Shows a service."),
    op("get", "/v3/endpoints", "Lists endpoints.").query(NAMED),
    op("get", "/v3/endpoints/{endpoint}", "Shows an endpoint."),
    op("get", "/v3/regions", "Lists regions."),
    op("get", "/v3/regions/{region}", "Shows a region."),
];
