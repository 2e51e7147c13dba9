//! What the configuration says that a policy may contradict.

use policy::Observed;

use crate::{config::Config, failure::Failure, witnesses::read_policy};

/// How data is deleted here.
const DELETION: &str = "cryptographic erasure";

/// What a server with this configuration runs with.
pub(crate) fn observed(config: &Config) -> Result<Observed, Failure> {
    let witnesses = match &config.ledger.witness_policy {
        Some(path) => read_policy(path)?.witnesses().len(),
        None => 0,
    };
    let objects = &config.objects;
    let in_a_bucket = !objects.s3_bucket.is_empty() && !objects.s3_region.is_empty();
    Ok(Observed {
        // Every provider of keys that there is, a file or a token, is the organisation's own.
        key_management: Some("company".to_owned()),
        stored_in: if in_a_bucket { vec![objects.s3_region.clone()] } else { Vec::new() },
        deletion_methods: Some(vec![DELETION.to_owned()]),
        witnesses: Some(witnesses as u64),
        time_servers: Some(config.clock.servers.len() as u64),
        privileged_review_seconds: Some(config.review.due.value.seconds().unsigned_abs()),
        ..Observed::default()
    })
}
