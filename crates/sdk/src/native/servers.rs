//! Servers and file systems of the native API.

use emberkeep_wire::native as wire;

use super::Native;
use crate::connection::{Call, Face};
use crate::error::SdkError;
use crate::ids::{FileSystemId, ServerId};

pub use wire::{FileSystem, NewFileSystem, NewServer, Server, ServerDisk, ServerVolumes};

impl Native {
    /// Lists the project's servers, newest first.
    pub async fn servers(&self, name: Option<&str>) -> Result<Vec<Server>, SdkError> {
        let call = Call::get(["servers"]).query("name", name);
        let page: wire::ServerPage = self.connection.json(Face::Native, &call).await?;
        Ok(page.servers)
    }

    /// Shows one server.
    pub async fn server(&self, id: &ServerId) -> Result<Server, SdkError> {
        let call = Call::get(["servers", id.as_str()]);
        self.connection.json(Face::Native, &call).await
    }

    /// Makes a server of volumes that are in none.
    pub async fn create_server(&self, new: &NewServer) -> Result<Server, SdkError> {
        let call = Call::post(["servers"], new);
        self.connection.json(Face::Native, &call).await
    }

    /// Adds volumes to a server.
    pub async fn add_server_volumes(
        &self,
        id: &ServerId,
        volumes: &ServerVolumes,
    ) -> Result<Server, SdkError> {
        let path = ["servers", id.as_str(), "volumes"];
        let call = Call::post(path, volumes);
        self.connection.json(Face::Native, &call).await
    }

    /// Takes volumes out of a server; their backups stay.
    pub async fn remove_server_volumes(
        &self,
        id: &ServerId,
        volumes: &ServerVolumes,
    ) -> Result<Server, SdkError> {
        let path = ["servers", id.as_str(), "volumes", "remove"];
        let call = Call::post(path, volumes);
        self.connection.json(Face::Native, &call).await
    }

    /// Deletes a server, not its volumes nor its backups.
    pub async fn delete_server(&self, id: &ServerId) -> Result<(), SdkError> {
        let call = Call::delete(["servers", id.as_str()]);
        self.connection.done(Face::Native, &call).await
    }

    /// Lists the project's file systems, newest first.
    pub async fn file_systems(&self, name: Option<&str>) -> Result<Vec<FileSystem>, SdkError> {
        let call = Call::get(["file-systems"]).query("name", name);
        let page: wire::FileSystemPage = self.connection.json(Face::Native, &call).await?;
        Ok(page.file_systems)
    }

    /// Shows one file system.
    pub async fn file_system(&self, id: &FileSystemId) -> Result<FileSystem, SdkError> {
        let call = Call::get(["file-systems", id.as_str()]);
        self.connection.json(Face::Native, &call).await
    }

    /// Registers a directory as a file system; for administrators.
    pub async fn create_file_system(&self, new: &NewFileSystem) -> Result<FileSystem, SdkError> {
        let call = Call::post(["file-systems"], new);
        self.connection.json(Face::Native, &call).await
    }

    /// Forgets a file system; the directory and its backups stay.
    pub async fn delete_file_system(&self, id: &FileSystemId) -> Result<(), SdkError> {
        let call = Call::delete(["file-systems", id.as_str()]);
        self.connection.done(Face::Native, &call).await
    }
}
