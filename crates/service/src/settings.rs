//! What an operator can set.

use std::path::PathBuf;

use crate::access::Policy;
use crate::quotas::defaults::DefaultQuotas;

/// The settings of a service.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The one availability zone.
    pub availability_zone: String,
    /// Name of the volume type that is made on first run.
    pub default_volume_type: String,
    /// Tasks worked on at once.
    pub workers: usize,
    /// How long a lease lasts unless it is renewed.
    pub lease_secs: i64,
    /// Copying and restoring may take so many hours from when a task was first begun; 0 for as
    /// long as it takes.
    pub task_timeout_hours: u32,
    /// A sweep of a project follows a deletion after this long.
    pub sweep_delay_secs: i64,
    /// So many stored bytes are read and verified a day, those first that were not for longest;
    /// none or 0 for none.
    pub verify_bytes_a_day: Option<u64>,
    /// On shutdown, tasks may go on for so long before they are handed over.
    pub grace_secs: u64,
    /// Who may do what through Block Storage.
    pub policy: Policy,
    /// What a project may have of volumes, snapshots and backups unless somebody says otherwise.
    pub quotas: DefaultQuotas,
    /// Count backups made from a backup's map and refuse its deletion while there are any, as
    /// Cinder does. No backup here needs another one: this is for those whose tools rely on it.
    pub count_dependents: bool,
    /// The directories below which file systems may be registered.
    pub turbo_roots: Vec<PathBuf>,
    /// Minutes between two runs of a policy on one day, at least; CBR's own hour unless somebody
    /// wants to see policies at work sooner.
    pub policy_min_gap_minutes: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            availability_zone: "nova".into(),
            default_volume_type: "standard".into(),
            workers: 4,
            lease_secs: 30,
            task_timeout_hours: 0,
            sweep_delay_secs: 60,
            verify_bytes_a_day: None,
            grace_secs: 10,
            policy: Policy::default(),
            quotas: DefaultQuotas::default(),
            count_dependents: false,
            turbo_roots: Vec::new(),
            policy_min_gap_minutes: emberkeep_plan::MIN_GAP_MINUTES,
        }
    }
}
