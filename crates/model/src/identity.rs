//! Users, projects, roles and tokens of the built-in identity, and who is calling.

use crate::words::words;
use crate::{ProjectId, Timestamp, UserId};

words! {
    /// What a user may do in a project. Each includes the ones after it.
    Role as "role" {
        /// Everything, in every project.
        Admin = "admin",
        /// What members may; elsewhere it also deals with a project's people.
        Manager = "manager",
        /// Make and delete the project's things.
        Member = "member",
        /// Look at the project's things.
        Reader = "reader",
    }
}

impl Role {
    /// Returns this role and all it implies.
    pub fn implied(self) -> &'static [Role] {
        match self {
            Self::Admin => &[Self::Admin, Self::Manager, Self::Member, Self::Reader],
            Self::Manager => &[Self::Manager, Self::Member, Self::Reader],
            Self::Member => &[Self::Member, Self::Reader],
            Self::Reader => &[Self::Reader],
        }
    }
}

/// Who is calling, as the identity service vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user_id: UserId,
    /// The project of the token.
    pub project_id: ProjectId,
    /// The roles in it, implied ones included; unknown ones are left out.
    pub roles: Vec<Role>,
    /// The request's id, `req-` and a UUID.
    pub request_id: String,
}

impl Caller {
    /// Tells whether the caller holds `role`.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Tells whether the caller may see other projects.
    pub fn is_admin(&self) -> bool {
        self.has(Role::Admin)
    }

    /// Tells whether the caller may know of things of `project`.
    pub fn sees(&self, project: &ProjectId) -> bool {
        self.project_id == *project || self.is_admin()
    }
}

/// A project of the built-in identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name, unique.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Nobody can use a disabled one.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}

/// A user of the built-in identity.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its name, unique.
    pub name: String,
    /// The argon2 hash of the password, in PHC form.
    pub password_hash: String,
    /// The project taken when a request names none.
    pub default_project_id: Option<ProjectId>,
    /// A disabled one cannot sign in.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}

/// A role given to a user in a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// To whom.
    pub user_id: UserId,
    /// Where.
    pub project_id: ProjectId,
    /// What.
    pub role: Role,
}

/// A token the built-in identity has given out. The token itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// BLAKE3 of the token, hex.
    pub hash: String,
    /// Whose it is.
    pub user_id: UserId,
    /// The project it is for; none when unscoped.
    pub project_id: Option<ProjectId>,
    /// How it was got: `password`, `token`.
    pub methods: Vec<String>,
    /// Its own audit id, then that of the token it came from.
    pub audit_ids: Vec<String>,
    /// When it was given out.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// It was taken back.
    pub revoked: bool,
    /// The application credential it was got with; without that it is good for nothing.
    pub app_credential_id: Option<String>,
}

/// A secret of its own for a program that acts for a user in one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppCredential {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub user_id: UserId,
    /// The project it is for.
    pub project_id: ProjectId,
    /// Its name, unique among the user's.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// The argon2 hash of the secret, in PHC form: people may choose it themselves.
    pub secret_hash: String,
    /// What it may do; less if the user has lost some of it.
    pub roles: Vec<Role>,
    /// May make and delete further ones.
    pub unrestricted: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if ever.
    pub expires_at: Option<Timestamp>,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}
