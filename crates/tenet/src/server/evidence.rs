//! The policy's part of a server: what is known of it, and the job that makes its checks.

use std::sync::Arc;

use access::Access;
use policy::Registry;
use store::{JobHandler, Store, SystemScope};
use watch::{Alarms, ChecksJob, Messenger, Watch};

use super::probes::{self, Grounds};
use crate::{
    config::Config,
    couriers,
    failure::{Exit, Failure},
    running,
};

/// The policy and what is observed of it.
pub(super) fn open(data: &Store, access: &Access, config: &Config) -> Result<Watch, Failure> {
    let absent = |registry: &Registry| probes::absent(config, registry);
    Watch::open(data.clone(), access.clone(), running::observed(config)?, absent).map_err(|error| {
        Failure::new(Exit::Failure, "catalogue", "the policy's catalogue can't be read")
            .why(error.to_string())
    })
}

/// The job that makes the checks that are due, which comes by the clock from now on.
pub(super) async fn checks_job(
    watch: &Watch,
    grounds: Grounds,
    scope: &SystemScope,
) -> Result<Box<dyn JobHandler>, Failure> {
    let job = ChecksJob::new(watch.clone(), probes::all(Arc::new(grounds)));
    job.schedule(scope).await.map_err(|error| Failure::fault("the checks can't be made", &error))?;
    Ok(Box::new(job))
}

/// Alarms, and who brings them to their receivers.
pub(super) fn alarms(
    watch: &Watch,
    config: &Config,
    address: &str,
    scope: SystemScope,
) -> Result<(Alarms, Messenger), Failure> {
    let alarms = Alarms::new(watch.clone(), couriers::plan(config, address));
    let messenger = Messenger::new(alarms.clone(), couriers::all(config)?, scope);
    Ok((alarms, messenger))
}
