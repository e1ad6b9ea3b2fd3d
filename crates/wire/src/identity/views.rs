//! What identity answers with.

use emberkeep_model::{Project, User};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::keyed::Many;
use crate::lenient;

/// The id of the one domain there is.
pub const DOMAIN_ID: &str = "default";
/// Its name.
pub const DOMAIN_NAME: &str = "Default";

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[expect(missing_docs, reason = "each field is what Keystone calls so")]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $kind,)*
        }
    )*};
}

views! {
    /// A thing with an id and a name.
    IdName {
        id: String,
        name: String,
    }
    /// A domain, within other things.
    Domain {
        id: String,
        name: String,
    }
    /// The user of a token.
    TokenUser {
        domain: Domain,
        id: String,
        name: String,
        #[serde(default)]
        password_expires_at: Option<String>,
    }
    /// The project of a token.
    TokenProject {
        domain: Domain,
        id: String,
        name: String,
    }
    /// The application credential of a token.
    TokenAppCredential {
        id: String,
        name: String,
        restricted: bool,
    }
    /// An application credential; its secret is shown once, to who has made it.
    AppCredentialView {
        id: String,
        name: String,
        description: Option<String>,
        project_id: String,
        user_id: String,
        roles: Vec<IdName>,
        expires_at: Option<String>,
        unrestricted: bool,
        system: Option<String>,
        links: Links,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
    }
    /// One address of a service.
    Endpoint {
        #[serde(default, deserialize_with = "lenient::text")]
        id: String,
        interface: String,
        region_id: Option<String>,
        url: String,
        region: Option<String>,
    }
    /// A service and where to reach it.
    CatalogEntry {
        #[serde(default, deserialize_with = "lenient::or_default")]
        endpoints: Vec<Endpoint>,
        #[serde(default, deserialize_with = "lenient::text")]
        id: String,
        #[serde(rename = "type")]
        kind: String,
        #[serde(default, deserialize_with = "lenient::text")]
        name: String,
    }
    /// What a token is good for. Without a project there are neither roles nor a catalogue.
    Token {
        methods: Vec<String>,
        user: TokenUser,
        audit_ids: Vec<String>,
        expires_at: String,
        issued_at: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project: Option<TokenProject>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_domain: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        roles: Option<Vec<IdName>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        catalog: Option<Vec<CatalogEntry>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        application_credential: Option<TokenAppCredential>,
    }
    /// The body that carries a token's meaning; the token itself is in a header.
    TokenBody {
        token: Token,
    }
    /// A link with its meaning.
    Link {
        rel: String,
        href: String,
    }
    /// What a body can be.
    MediaType {
        base: String,
        #[serde(rename = "type")]
        kind: String,
    }
    /// A version of the API.
    Version {
        id: String,
        status: String,
        updated: String,
        links: Vec<Link>,
        #[serde(rename = "media-types")]
        media_types: Vec<MediaType>,
    }
    /// Where a thing is.
    Links {
        #[serde(rename = "self")]
        own: String,
    }
    /// Where a list is; ours come whole.
    ListLinks {
        next: Option<String>,
        #[serde(rename = "self")]
        own: String,
        previous: Option<String>,
    }
    /// A project.
    ProjectView {
        id: String,
        name: String,
        #[serde(default, deserialize_with = "lenient::text")]
        domain_id: String,
        #[serde(default, deserialize_with = "lenient::text")]
        description: String,
        #[serde(default)]
        enabled: bool,
        #[serde(default, deserialize_with = "lenient::text")]
        parent_id: String,
        #[serde(default)]
        is_domain: bool,
        #[serde(default)]
        tags: Vec<String>,
        #[serde(default)]
        options: serde_json::Map<String, Value>,
        #[serde(default, skip_serializing_if = "Links::are_untold")]
        links: Links,
    }
    /// A user.
    UserView {
        id: String,
        name: String,
        #[serde(default, deserialize_with = "lenient::text")]
        domain_id: String,
        #[serde(default)]
        enabled: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        default_project_id: Option<String>,
        password_expires_at: Option<String>,
        #[serde(default)]
        options: serde_json::Map<String, Value>,
        #[serde(default, skip_serializing_if = "Links::are_untold")]
        links: Links,
    }
    /// A role.
    RoleView {
        id: String,
        name: String,
        domain_id: Option<String>,
        description: Option<String>,
        #[serde(default)]
        options: serde_json::Map<String, Value>,
        #[serde(default, skip_serializing_if = "Links::are_untold")]
        links: Links,
    }
    /// A thing that a list of roles names: by its id, and more where that is asked for.
    AssignedTo {
        #[serde(default, deserialize_with = "lenient::text")]
        id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        domain: Option<Domain>,
    }
    /// Where a role is had. Those of domains and of the system are none of ours.
    AssignmentScope {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project: Option<AssignedTo>,
    }
    /// Where an assignment is.
    AssignmentLinks {
        #[serde(default, deserialize_with = "lenient::text")]
        assignment: String,
    }
    /// A role that somebody has somewhere. Those of groups are none of ours.
    RoleAssignmentView {
        role: AssignedTo,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<AssignedTo>,
        scope: AssignmentScope,
        #[serde(default)]
        links: AssignmentLinks,
    }
    /// A domain.
    DomainView {
        id: String,
        name: String,
        description: String,
        enabled: bool,
        tags: Vec<String>,
        options: serde_json::Map<String, Value>,
        links: Links,
    }
    /// A service.
    ServiceView {
        id: String,
        name: String,
        #[serde(rename = "type")]
        kind: String,
        enabled: bool,
        description: String,
        links: Links,
    }
    /// An endpoint.
    EndpointView {
        id: String,
        interface: String,
        region: String,
        region_id: String,
        service_id: String,
        url: String,
        enabled: bool,
        links: Links,
    }
    /// A region.
    RegionView {
        id: String,
        description: String,
        parent_region_id: Option<String>,
        links: Links,
    }
    /// Why a request is refused.
    Fault {
        code: u16,
        message: String,
        title: String,
    }
    /// The body that carries a [`Fault`].
    FaultBody {
        error: Fault,
    }
}

crate::keyed::keys! {
    one {
        AppCredentialView: "application_credential",
        DomainView: "domain",
        EndpointView: "endpoint",
        ProjectView: "project",
        RegionView: "region",
        RoleView: "role",
        ServiceView: "service",
        UserView: "user",
        Version: "version",
    }
    many {
        AppCredentialView: "application_credentials",
        CatalogEntry: "catalog",
        DomainView: "domains",
        EndpointView: "endpoints",
        ProjectView: "projects",
        RegionView: "regions",
        RoleAssignmentView: "role_assignments",
        RoleView: "roles",
        ServiceView: "services",
        UserView: "users",
    }
}

/// What stands at the root: the versions there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "IdentityVersions")
)]
pub struct Versions {
    /// All of them.
    pub versions: VersionValues,
}

/// The versions there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VersionValues {
    /// All of them.
    pub values: Vec<Version>,
}

impl Links {
    /// Tells whether the place is not told.
    fn are_untold(&self) -> bool {
        self.own.is_empty()
    }
}

impl Default for Links {
    /// A place that is not told.
    fn default() -> Self {
        Self { own: String::new() }
    }
}

impl Default for AssignmentLinks {
    /// A place that is not told.
    fn default() -> Self {
        Self {
            assignment: String::new(),
        }
    }
}

impl Domain {
    /// The one domain there is.
    pub fn ours() -> Self {
        Self {
            id: DOMAIN_ID.to_owned(),
            name: DOMAIN_NAME.to_owned(),
        }
    }
}

impl Version {
    /// The version we speak, at `root`, which is the address of `/identity` as the client reaches it.
    pub fn ours(root: &str) -> Self {
        Self {
            id: "v3.14".to_owned(),
            status: "stable".to_owned(),
            updated: "2020-04-07T00:00:00Z".to_owned(),
            links: vec![Link {
                rel: "self".to_owned(),
                href: format!("{root}/v3/"),
            }],
            media_types: vec![MediaType {
                base: "application/json".to_owned(),
                kind: "application/vnd.openstack.identity-v3+json".to_owned(),
            }],
        }
    }
}

impl Links {
    /// The link of the `kind` (plural) with this id.
    pub fn of(root: &str, kind: &str, id: &str) -> Self {
        Self {
            own: format!("{root}/v3/{kind}/{id}"),
        }
    }
}

impl ProjectView {
    /// Shows a project.
    pub fn new(root: &str, project: &Project) -> Self {
        Self {
            id: project.id.to_string(),
            name: project.name.clone(),
            domain_id: DOMAIN_ID.to_owned(),
            description: project.description.clone(),
            enabled: project.enabled,
            parent_id: DOMAIN_ID.to_owned(),
            is_domain: false,
            tags: Vec::new(),
            options: serde_json::Map::new(),
            links: Links::of(root, "projects", project.id.as_str()),
        }
    }
}

impl UserView {
    /// Shows a user.
    pub fn new(root: &str, user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name.clone(),
            domain_id: DOMAIN_ID.to_owned(),
            enabled: user.enabled,
            default_project_id: user.default_project_id.as_ref().map(ToString::to_string),
            password_expires_at: None,
            options: serde_json::Map::new(),
            links: Links::of(root, "users", user.id.as_str()),
        }
    }
}

impl DomainView {
    /// Shows the one domain there is.
    pub fn ours(root: &str) -> Self {
        Self {
            id: DOMAIN_ID.to_owned(),
            name: DOMAIN_NAME.to_owned(),
            description: "The default domain".to_owned(),
            enabled: true,
            tags: Vec::new(),
            options: serde_json::Map::new(),
            links: Links::of(root, "domains", DOMAIN_ID),
        }
    }
}

/// Returns what a [`list`] looks like.
#[cfg(feature = "schema")]
pub fn list_schema<T: Many + schemars::JsonSchema>(
    generator: &mut schemars::SchemaGenerator,
) -> schemars::Schema {
    let items = generator.subschema_for::<Vec<T>>();
    let links = generator.subschema_for::<ListLinks>();
    schemars::json_schema!({
        "type": "object",
        "properties": {T::LIST_KEY: items, "links": links},
        "required": [T::LIST_KEY, "links"],
    })
}

/// Returns a list as identity shows it: the items under their plural, and where the list is.
pub fn list<T: Many + Serialize>(root: &str, path: &str, items: &[T]) -> Value {
    let links = ListLinks {
        next: None,
        own: format!("{root}/v3/{path}"),
        previous: None,
    };
    json!({ T::LIST_KEY: items, "links": links })
}
