//! Whom `user`, `project` and `role` deal with: the identity of a running service, or straight the
//! catalogue of a stopped one.

use emberkeep_sdk::{Assignment, Identity, Links, Project, Secret, User};
use emberkeep_server::{DataDirError, People, StartError};
use emberkeep_service::{NewProject, NewUser, ServiceError};

use crate::connect::ConnectArgs;
use crate::error::CliError;

/// Users, projects and roles, wherever they are kept.
pub(crate) enum Directory {
    /// Behind the identity API.
    Remote(Identity),
    /// In the catalogue of a service that is stopped; it cannot start meanwhile.
    Local(Box<People>),
}

impl Directory {
    /// Opens the one that the options mean. A data directory that a service has in use is asked through
    /// that service.
    pub(crate) async fn open(connect: &ConnectArgs) -> Result<Self, CliError> {
        let Some(dir) = connect.local_data_dir() else {
            return Ok(Self::Remote(connect.open().await?.identity()));
        };
        match People::open(&dir).await {
            Ok(Some(people)) => Ok(Self::Local(Box::new(people))),
            Ok(None) => Err(CliError::not_found(format!(
                "no service has kept its data in {} yet",
                dir.display()
            ))
            .hint(format!(
                "start it once: emberkeep serve --data-dir {}",
                dir.display()
            ))),
            Err(StartError::DataDir(DataDirError::InUse { .. })) => {
                Ok(Self::Remote(connect.open().await?.identity()))
            }
            Err(error) => Err(CliError::failed_by("the catalogue", &error)),
        }
    }

    pub(crate) async fn users(&self) -> Result<Vec<User>, CliError> {
        match self {
            Self::Remote(api) => Ok(api.users(None).await?),
            Self::Local(people) => {
                let users = people.identity().users().await.map_err(local)?;
                Ok(users.iter().map(user).collect())
            }
        }
    }

    pub(crate) async fn projects(&self) -> Result<Vec<Project>, CliError> {
        match self {
            Self::Remote(api) => Ok(api.projects(None).await?),
            Self::Local(people) => {
                let projects = people.identity().projects().await.map_err(local)?;
                Ok(projects.iter().map(project).collect())
            }
        }
    }

    /// Finds the user of an id or name.
    pub(crate) async fn user(&self, wanted: &str) -> Result<User, CliError> {
        let users = self.users().await?;
        let found = users
            .into_iter()
            .find(|one| one.id == wanted || one.name == wanted);
        found.ok_or_else(|| CliError::not_found(format!("there is no user '{wanted}'")))
    }

    /// Finds the project of an id or name.
    pub(crate) async fn project(&self, wanted: &str) -> Result<Project, CliError> {
        let projects = self.projects().await?;
        let found = projects
            .into_iter()
            .find(|one| one.id == wanted || one.name == wanted);
        found.ok_or_else(|| CliError::not_found(format!("there is no project '{wanted}'")))
    }

    pub(crate) async fn create_user(
        &self,
        name: &str,
        password: &Secret,
        project: Option<&Project>,
    ) -> Result<User, CliError> {
        match self {
            Self::Remote(api) => {
                let default = project.map(|one| one.id.as_str());
                Ok(api.create_user(name, password, default).await?)
            }
            Self::Local(people) => {
                let new = NewUser {
                    name: name.to_owned(),
                    password: password.expose().to_owned(),
                    default_project_id: project.map(|one| parsed(&one.id)).transpose()?,
                    enabled: true,
                };
                let made = people.identity().create_user(new).await.map_err(local)?;
                Ok(user(&made))
            }
        }
    }

    pub(crate) async fn create_project(
        &self,
        name: &str,
        description: Option<&str>,
    ) -> Result<Project, CliError> {
        match self {
            Self::Remote(api) => Ok(api.create_project(name, description).await?),
            Self::Local(people) => {
                let new = NewProject {
                    name: name.to_owned(),
                    description: description.unwrap_or_default().to_owned(),
                    enabled: true,
                };
                let made = people.identity().create_project(new).await.map_err(local)?;
                Ok(project(&made))
            }
        }
    }

    /// Gives a user a role in a project, or takes it away.
    pub(crate) async fn set_role(
        &self,
        user: &User,
        project: &Project,
        role: &str,
        given: bool,
    ) -> Result<(), CliError> {
        match self {
            Self::Remote(api) => {
                let roles = api.roles(Some(role)).await?;
                let Some(role) = roles.iter().find(|one| one.name == role) else {
                    return Err(no_role(role));
                };
                if given {
                    api.add_role(&user.id, &project.id, &role.id).await?;
                } else {
                    api.remove_role(&user.id, &project.id, &role.id).await?;
                }
                Ok(())
            }
            Self::Local(people) => {
                let identity = people.identity();
                let known = role.parse().map_err(|_| no_role(role))?;
                let (user_id, project_id) = (parsed(&user.id)?, parsed(&project.id)?);
                if given {
                    let added = identity.add_role(&user_id, &project_id, known).await;
                    return added.map_err(local);
                }
                let removed = identity.remove_role(&user_id, &project_id, known).await;
                if removed.map_err(local)? {
                    return Ok(());
                }
                Err(CliError::not_found(format!(
                    "{} has no role {role} in {}",
                    user.name, project.name
                )))
            }
        }
    }

    pub(crate) async fn assignments(&self) -> Result<Vec<Assignment>, CliError> {
        let people = match self {
            Self::Remote(api) => return Ok(api.assignments().await?),
            Self::Local(people) => people,
        };
        let projects = people.identity().projects().await.map_err(local)?;
        let mut all = Vec::new();
        for user in people.identity().users().await.map_err(local)? {
            for given in people
                .identity()
                .assignments(&user.id)
                .await
                .map_err(local)?
            {
                let project = projects.iter().find(|one| one.id == given.project_id);
                all.push(Assignment {
                    user: user.name.clone(),
                    project: project
                        .map_or_else(|| given.project_id.to_string(), |p| p.name.clone()),
                    role: given.role.to_string(),
                });
            }
        }
        Ok(all)
    }
}

/// Shows a user where there is no service that could be linked to.
fn user(row: &emberkeep_model::User) -> User {
    User {
        links: Links::default(),
        ..User::new("", row)
    }
}

/// Shows a project where there is no service that could be linked to.
fn project(row: &emberkeep_model::Project) -> Project {
    Project {
        links: Links::default(),
        ..Project::new("", row)
    }
}

fn parsed<T: std::str::FromStr<Err = emberkeep_model::BadId>>(id: &str) -> Result<T, CliError> {
    id.parse()
        .map_err(|error| CliError::failed_by("an id", &error))
}

fn no_role(role: &str) -> CliError {
    CliError::not_found(format!("there is no role '{role}'"))
        .hint("admin, manager, member or reader")
}

fn local(error: ServiceError) -> CliError {
    match error {
        ServiceError::UserExists(_)
        | ServiceError::ProjectExists(_)
        | ServiceError::Invalid { .. } => CliError::refused(error.to_string()),
        other => CliError::failed_by("the catalogue", &other),
    }
}

/// Reads a password: the first line of standard input.
pub(crate) fn password_from_stdin() -> Result<Secret, CliError> {
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| CliError::failed_by("reading the password", &error))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(CliError::usage("the password on standard input is empty"));
    }
    Ok(Secret::new(password))
}

/// Words that ask for the only way there is of giving a password.
pub(crate) fn password_missing() -> CliError {
    CliError::usage("the password is read from standard input")
        .hint("emberkeep user create NAME --password-stdin < FILE")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use emberkeep_server::{Config, ConfigArgs, Running};

    use super::*;

    async fn served(dir: &Path) -> Running {
        let args = ConfigArgs {
            data_dir: Some(dir.to_owned()),
            listen: Some("127.0.0.1:0".to_owned()),
            ..ConfigArgs::default()
        };
        let config = Config::from_sources(args, |_| None).expect("is good");
        emberkeep_server::start(config).await.expect("starts")
    }

    /// Makes a project with a member, and returns who has which role in it.
    async fn populate(directory: &Directory, suffix: &str) -> Vec<String> {
        let name = format!("p-{suffix}");
        let project = directory
            .create_project(&name, None)
            .await
            .expect("makes a project");
        let user = directory
            .create_user(
                &format!("u-{suffix}"),
                &Secret::new("s3cret"),
                Some(&project),
            )
            .await
            .expect("makes a user");
        for role in ["member", "reader"] {
            directory
                .set_role(&user, &project, role, true)
                .await
                .expect("gives a role");
        }
        directory
            .set_role(&user, &project, "reader", false)
            .await
            .expect("takes a role");
        let unknown = directory.set_role(&user, &project, "king", true).await;
        assert_eq!(
            unknown.expect_err("is none").status(),
            crate::ExitStatus::NotFound
        );
        let again = directory.create_project(&name, None).await;
        assert!(again.is_err(), "the name is taken");
        let all = directory.assignments().await.expect("lists");
        all.into_iter()
            .filter(|one| one.project == name)
            .map(|one| format!("{} {}", one.user, one.role))
            .collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn people_are_made_with_and_without_the_service() {
        let dir = tempfile::tempdir().expect("directory");
        let connect = ConnectArgs {
            data_dir: Some(dir.path().join("data")),
            ..ConnectArgs::default()
        };
        let error = Directory::open(&connect)
            .await
            .err()
            .expect("is not there yet");
        assert_eq!(error.status(), crate::ExitStatus::NotFound);

        let running = served(&dir.path().join("data")).await;
        let directory = Directory::open(&connect).await.expect("asks the service");
        assert!(matches!(directory, Directory::Remote(_)));
        assert_eq!(populate(&directory, "remote").await, ["u-remote member"]);
        running.shutdown().await;

        let directory = Directory::open(&connect)
            .await
            .expect("opens the catalogue");
        assert!(matches!(directory, Directory::Local(_)));
        assert_eq!(populate(&directory, "local").await, ["u-local member"]);
        assert_eq!(
            directory.user("u-remote").await.expect("is there").name,
            "u-remote"
        );
        assert!(directory.project("nowhere").await.is_err());
    }
}
