//! The catalog of a service that is stopped: its copies, and how it comes back.
//!
//! A catalog that is made anew is made beside the old one, whole, checked and durable, before the
//! old one is moved aside. Whatever breaks this off, it can be done again, and nothing is lost.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use emberkeep_catalog::{Catalog, CatalogFile, CheckDepth, SqliteCatalog, StateName};
use emberkeep_engine::{
    CatalogCopy, CatalogCopyName, OpenedCopy, Repository, RepositoryError, UnixMicros,
};
use emberkeep_service::{
    CatalogCopies, CatalogCopyError, Clock, Service, ServiceError, Settings, Settled, SystemClock,
    TakenUp, VolumeFile, give_administrator, new_secret, take_up, take_up_volumes,
};
use emberkeep_volumes::FileProvider;

use crate::catalog_place::{COMPANIONS, aside_of, with_suffix};
use crate::start::{CATALOGUE, open_repository};
use crate::{Config, DataDir, IdentityConfig, StartError, clouds};

const CLOUDS: &str = "clouds.yaml";

/// Why a command on the catalog failed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogToolError {
    /// What a start needs as well is not there.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is no repository, so no copies and no backups.
    #[error("{data_dir} holds no repository")]
    NoRepository {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// There is no catalog to copy.
    #[error("{data_dir} holds no catalog")]
    NoCatalog {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// There is no copy, or none of that name.
    #[error("{}", match name {
        Some(name) => format!("the repository holds no catalog copy {name}"),
        None => "the repository holds no catalog copy".to_owned(),
    })]
    NoCopy {
        /// The copy that was named.
        name: Option<String>,
    },
    /// A copy cannot be read.
    #[error("catalog copy {name} cannot be read")]
    Copy {
        /// The copy.
        name: String,
        /// What is wrong.
        #[source]
        cause: RepositoryError,
    },
    /// The repository failed.
    #[error("the repository failed")]
    Repository(#[from] RepositoryError),
    /// The copy was not written.
    #[error(transparent)]
    Writing(#[from] CatalogCopyError),
    /// Rows could not be made.
    #[error("the rows of the catalog could not be made")]
    Rows(#[from] ServiceError),
    /// A file failed.
    #[error("{path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
}

impl From<emberkeep_catalog::CatalogFileError> for CatalogToolError {
    fn from(cause: emberkeep_catalog::CatalogFileError) -> Self {
        Self::Start(StartError::CatalogFile(cause))
    }
}

impl From<emberkeep_catalog::CatalogError> for CatalogToolError {
    fn from(cause: emberkeep_catalog::CatalogError) -> Self {
        Self::Start(StartError::Catalog(cause))
    }
}

/// A copy, and whether it can be read.
#[derive(Debug)]
pub struct ListedCopy {
    /// The copy.
    pub copy: CatalogCopy,
    /// When its rows were read, or what is wrong with it.
    pub created_at: Result<UnixMicros, RepositoryError>,
    /// Projects whose rows it held and that were erased since.
    pub erased: usize,
}

/// What a catalog is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebuildFrom {
    /// The latest readable copy; the manifests alone if no copy is readable.
    LatestCopy,
    /// This copy and nothing else.
    Copy(CatalogCopyName),
    /// The manifests alone, even if there are copies.
    Manifests,
}

/// What a catalog was made from, and what became of it.
#[derive(Debug)]
pub struct Rebuilt {
    /// The copy, and when its rows were read.
    pub copy: Option<(CatalogCopyName, UnixMicros)>,
    /// Copies that could not be read, and why.
    pub passed_over: Vec<(CatalogCopyName, RepositoryError)>,
    /// Rows that came out of the copy.
    pub rows: u64,
    /// Projects whose rows did not, since they were erased.
    pub erased: usize,
    /// What became of backups.
    pub taken_up: TakenUp,
    /// Tasks that had not ended.
    pub settled: Settled,
    /// Volumes that have a file and got a row.
    pub volumes_made: u64,
    /// Volumes that have a row and no file.
    pub volumes_marked: u64,
    /// Files in `volumes` that nothing is known of.
    pub strangers: usize,
    /// Where the catalog before lies now.
    pub aside: Option<PathBuf>,
    /// `clouds.yaml` was made again with a new password of the administrator.
    pub new_password: bool,
}

/// A copy that was opened, if there is one, and those that could not be.
type Source = (
    Option<(CatalogCopyName, OpenedCopy)>,
    Vec<(CatalogCopyName, RepositoryError)>,
);

/// The catalog of a stopped service. Until it is dropped the service cannot start.
pub struct CatalogTool {
    data: DataDir,
    repository: Repository,
    file: CatalogFile,
    config: Config,
}

impl CatalogTool {
    /// Takes the data directory and opens its repository, which must be there.
    pub fn open(config: Config) -> Result<Self, CatalogToolError> {
        let data_dir = config.data_dir.clone();
        if !data_dir.join("repository").join("format").exists() {
            return Err(CatalogToolError::NoRepository { data_dir });
        }
        let data = DataDir::take(&data_dir).map_err(StartError::DataDir)?;
        let keys = config.master_key_in(data.path());
        let repository = open_repository(&data, &keys, None)?;
        let file = CatalogFile::new(data.path().join(CATALOGUE));
        Ok(Self {
            data,
            repository,
            file,
            config,
        })
    }

    /// Returns the catalog's file.
    pub fn file(&self) -> &CatalogFile {
        &self.file
    }

    /// Lists the copies there are, oldest first, and reads each of them.
    pub fn list(&self) -> Result<Vec<ListedCopy>, CatalogToolError> {
        let mut listed = Vec::new();
        for copy in self.repository.catalog_copies()? {
            let opened = self.repository.open_catalog_copy(copy.name);
            listed.push(ListedCopy {
                copy,
                erased: opened.as_ref().map_or(0, |opened| opened.erased),
                created_at: opened.map(|opened| opened.created_at),
            });
        }
        Ok(listed)
    }

    /// Writes a copy of the catalog.
    pub async fn backup(&self) -> Result<CatalogCopy, CatalogToolError> {
        if !self.file.exists() {
            return Err(CatalogToolError::NoCatalog {
                data_dir: self.data.path().to_owned(),
            });
        }
        self.file.check(CheckDepth::Whole)?;
        // Brings an older schema up to date.
        SqliteCatalog::open(self.file.path()).await?.close().await;
        let keep = self.config.catalog.copies;
        let copies = CatalogCopies::new(self.file.clone(), self.repository.clone(), keep);
        Ok(copies.write()?)
    }

    /// Makes the catalog anew and puts it in the place of the one there is, which is moved aside.
    /// `tell` receives a line of progress for each step.
    pub async fn rebuild(
        &self,
        from: RebuildFrom,
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Rebuilt, CatalogToolError> {
        let (source, passed_over) = self.source(from)?;
        let new = CatalogFile::new(self.data.path().join(format!("{CATALOGUE}.new")));
        // Of an earlier attempt that was broken off.
        remove(new.path())?;
        let mut rebuilt = Rebuilt {
            copy: None,
            passed_over,
            rows: 0,
            erased: 0,
            taken_up: TakenUp::default(),
            settled: Settled::default(),
            volumes_made: 0,
            volumes_marked: 0,
            strangers: 0,
            aside: None,
            new_password: false,
        };
        let reason = match source {
            Some((name, opened)) => {
                tell(&format!("reading catalog copy {name}"));
                let imported = new.import(opened.texts).await?;
                rebuilt.copy = Some((name, opened.created_at));
                rebuilt.rows = imported.rows;
                rebuilt.erased = opened.erased;
                format!("the catalog was restored from copy {name}; retry the operation")
            }
            None => "the catalog was rebuilt; retry the operation".to_owned(),
        };
        let catalog: Arc<SqliteCatalog> = Arc::new(SqliteCatalog::open(new.path()).await?);
        tell("comparing with the backups in the repository");
        self.fill(Arc::clone(&catalog), &reason, &mut rebuilt)
            .await?;
        catalog.close().await;
        drop(catalog);
        if let Some(latest) = self.repository.catalog_copies()?.last() {
            new.set_state(StateName::LastCopy, &latest.name.to_string())?;
        }
        new.fold_log()?;
        new.check(CheckDepth::Whole)?;
        tell("putting the catalog in its place");
        rebuilt.aside = self.install(new.path())?;
        Ok(rebuilt)
    }

    /// Finds what the catalog is made from, and the copies that could not be read.
    fn source(&self, from: RebuildFrom) -> Result<Source, CatalogToolError> {
        let mut passed_over = Vec::new();
        match from {
            RebuildFrom::Manifests => Ok((None, passed_over)),
            RebuildFrom::Copy(name) => {
                let copies = self.repository.catalog_copies()?;
                if !copies.iter().any(|copy| copy.name == name) {
                    let name = Some(name.to_string());
                    return Err(CatalogToolError::NoCopy { name });
                }
                let opened = self.repository.open_catalog_copy(name);
                let opened = opened.map_err(|cause| CatalogToolError::Copy {
                    name: name.to_string(),
                    cause,
                })?;
                Ok((Some((name, opened)), passed_over))
            }
            RebuildFrom::LatestCopy => {
                for copy in self.repository.catalog_copies()?.into_iter().rev() {
                    match self.repository.open_catalog_copy(copy.name) {
                        Ok(opened) => return Ok((Some((copy.name, opened)), passed_over)),
                        Err(error) => passed_over.push((copy.name, error)),
                    }
                }
                Ok((None, passed_over))
            }
        }
    }

    /// Returns the latest copy's name.
    pub fn latest(&self) -> Result<CatalogCopyName, CatalogToolError> {
        let latest = self.repository.catalog_copies()?.pop();
        latest
            .map(|copy| copy.name)
            .ok_or(CatalogToolError::NoCopy { name: None })
    }

    /// Makes the rows agree with what there is.
    async fn fill(
        &self,
        catalog: Arc<SqliteCatalog>,
        reason: &str,
        rebuilt: &mut Rebuilt,
    ) -> Result<(), CatalogToolError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let now = clock.now();
        let built_in = matches!(self.config.identity, IdentityConfig::BuiltIn);
        let rows: Arc<dyn Catalog> = catalog;
        rebuilt.taken_up = take_up(&*rows, &self.repository, built_in, now).await?;
        let provider = Arc::new(FileProvider::open(self.data.path()).map_err(StartError::Volumes)?);
        let files: Vec<VolumeFile> = provider
            .volumes()
            .map_err(StartError::Volumes)?
            .into_iter()
            .map(|(id, size)| VolumeFile { id, size: size.0 })
            .collect();
        let service = Service::new(
            Arc::clone(&rows),
            self.repository.clone(),
            provider,
            clock,
            Settings::default(),
        );
        rebuilt.settled = service.settle_copied(reason).await?;
        let (made, marked, strangers) = take_up_volumes(&*rows, &files, now).await?;
        rebuilt.volumes_made = made;
        rebuilt.volumes_marked = marked;
        rebuilt.strangers = strangers.len();
        if built_in && rebuilt.copy.is_none() {
            let path = self.data.path().join(CLOUDS);
            let kept = fs::read_to_string(&path)
                .ok()
                .and_then(|text| clouds::password(&text));
            let password = match kept {
                Some(password) => password,
                None => {
                    rebuilt.new_password = true;
                    let password = new_secret();
                    let text = clouds::fresh("http://127.0.0.1", &self.config.region, &password);
                    self.data
                        .write_private(CLOUDS, &text)
                        .map_err(StartError::DataDir)?;
                    password
                }
            };
            give_administrator(&*rows, &password, now).await?;
        }
        Ok(())
    }

    /// Puts a catalog that is whole in the place of the one there is; returns where that lies now.
    fn install(&self, new: &Path) -> Result<Option<PathBuf>, CatalogToolError> {
        let place = self.file.path();
        sync(new)?;
        // Its log is part of it. One that cannot be folded in goes along.
        let _best_effort = self.file.exists().then(|| self.file.fold_log());
        let aside = aside_of(place);
        let mut moved = None;
        // The catalog before its log: while there is no catalog nobody starts without asking.
        for suffix in [""].into_iter().chain(COMPANIONS) {
            let from = with_suffix(place, suffix);
            let to = with_suffix(&aside, suffix);
            if from.exists() {
                fs::rename(&from, &to).map_err(|cause| failed(&from, cause))?;
                moved = Some(aside.clone());
            }
        }
        sync_dir(self.data.path())?;
        fs::rename(new, place).map_err(|cause| failed(place, cause))?;
        sync_dir(self.data.path())?;
        Ok(moved)
    }
}

fn remove(path: &Path) -> Result<(), CatalogToolError> {
    for suffix in [""].into_iter().chain(COMPANIONS) {
        let path = with_suffix(path, suffix);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&path, cause));
            }
            _ => {}
        }
    }
    Ok(())
}

fn sync(path: &Path) -> Result<(), CatalogToolError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|cause| failed(path, cause))
}

fn sync_dir(path: &Path) -> Result<(), CatalogToolError> {
    sync(path)
}

fn failed(path: &Path, cause: io::Error) -> CatalogToolError {
    CatalogToolError::Io {
        path: path.to_owned(),
        cause,
    }
}
