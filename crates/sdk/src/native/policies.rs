//! What policies would do.

use emberkeep_wire::native as wire;

use super::Native;
use crate::connection::{Call, Face};
use crate::error::SdkError;
use crate::ids::PolicyId;

impl Native {
    /// Shows a policy's next runs and what becomes of every present backup, as the policy is or as
    /// it would be after `trial`. Nothing is changed.
    pub async fn preview_policy(
        &self,
        id: &PolicyId,
        trial: &wire::PolicyTrial,
    ) -> Result<wire::PolicyPreview, SdkError> {
        let path = ["policies", id.as_str(), "preview"];
        let call = Call::post(path, trial);
        self.connection.json(Face::Native, &call).await
    }
}
