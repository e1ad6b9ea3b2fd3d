//! The processes behind the API, and what volumes can be kept in (`cinder-backup.md §2.7`, `§2.8`).

use emberkeep_wire::cinder::ServiceSwitched;
use emberkeep_wire::cinder::ask::ServiceSwitch;

use super::{AvailabilityZone, BlockStorage, Pool, ResourceFilters, Service};
use crate::connection::Call;
use crate::error::SdkError;
use crate::version::Microversion;

impl BlockStorage {
    /// Lists the services, of one kind or on one host if given; for administrators.
    pub async fn services(
        &self,
        binary: Option<&str>,
        host: Option<&str>,
    ) -> Result<Vec<Service>, SdkError> {
        let call = Call::get(["os-services"])
            .query("binary", binary)
            .query("host", host);
        self.one(call).await
    }

    /// Lets work go to a service; for administrators.
    pub async fn enable_service(&self, binary: &str, host: &str) -> Result<(), SdkError> {
        self.switch("enable", binary, host, None).await
    }

    /// Lets no more work go to a service; for administrators.
    pub async fn disable_service(
        &self,
        binary: &str,
        host: &str,
        reason: Option<&str>,
    ) -> Result<(), SdkError> {
        let how = match reason {
            Some(_) => "disable-log-reason",
            None => "disable",
        };
        self.switch(how, binary, host, reason).await
    }

    async fn switch(
        &self,
        how: &str,
        binary: &str,
        host: &str,
        reason: Option<&str>,
    ) -> Result<(), SdkError> {
        let body = ServiceSwitch {
            binary: binary.to_owned(),
            host: host.to_owned(),
            disabled_reason: reason.map(str::to_owned),
        };
        self.whole(Call::put(["os-services", how], &body))
            .await
            .map(|_: ServiceSwitched| ())
    }

    /// Lists the pools that volumes are kept in, with what they can do if `detail` is asked
    /// for; for administrators.
    pub async fn pools(&self, detail: bool) -> Result<Vec<Pool>, SdkError> {
        let call =
            Call::get(["scheduler-stats", "get_pools"]).query("detail", detail.then_some(true));
        self.one(call).await
    }

    /// Lists what lists can be narrowed by, of one kind of thing (`backup`) if it is given;
    /// since 3.33.
    pub async fn resource_filters(
        &self,
        resource: Option<&str>,
    ) -> Result<Vec<ResourceFilters>, SdkError> {
        self.needs("what lists can be narrowed by", Microversion::v3(33))
            .await?;
        let call = Call::get(["resource_filters"]).query("resource", resource);
        self.one(call).await
    }

    /// Lists the zones.
    pub async fn availability_zones(&self) -> Result<Vec<AvailabilityZone>, SdkError> {
        self.one(Call::get(["os-availability-zone"])).await
    }
}
