//! Where objects' sealed contents go: a directory, or a bucket of an S3-compatible store.

use std::sync::Arc;

use object_store::{ObjectStore, local::LocalFileSystem};

use crate::{
    config::{Environment, ObjectsConfig},
    data_dir::DataDir,
    failure::{Exit, Failure},
};

pub(crate) fn open(
    config: &ObjectsConfig,
    environment: &Environment,
    directory: &DataDir,
) -> Result<Arc<dyn ObjectStore>, Failure> {
    if !config.s3_bucket.is_empty() {
        return bucket(config, environment);
    }
    let path = config.directory.clone().unwrap_or_else(|| directory.file("objects"));
    let made = {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)
    };
    made.map_err(|error| Failure::file("can't make", &path, &error))?;
    let blobs = LocalFileSystem::new_with_prefix(&path).map_err(|error| unusable(&error.to_string()))?;
    // Durable before a put returns: the object's row is committed after it.
    Ok(Arc::new(blobs.with_fsync(true)))
}

fn unusable(why: &str) -> Failure {
    Failure::new(Exit::Usage, "config", "objects can't be stored as configured").why(why.to_owned())
}

/// The bucket. The connection is encrypted, but to this machine itself (TR-4).
#[cfg(feature = "s3")]
fn bucket(config: &ObjectsConfig, environment: &Environment) -> Result<Arc<dyn ObjectStore>, Failure> {
    use object_store::{Certificate, ClientOptions, aws::AmazonS3Builder, prefix::PrefixStore};
    let mut client = ClientOptions::new();
    if let Some(path) = &config.s3_root_ca {
        let pem = std::fs::read(path).map_err(|error| Failure::file("can't read", path, &error))?;
        let root = Certificate::from_pem(&pem)
            .map_err(|_| unusable("`objects.s3_root_ca` is not a PEM certificate"))?;
        client = client.with_root_certificate(root);
    }
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&config.s3_bucket)
        .with_region(&config.s3_region)
        .with_allow_http(crate::config::is_clear_and_near(&config.s3_endpoint))
        .with_client_options(client.with_allow_http(crate::config::is_clear_and_near(&config.s3_endpoint)));
    if !config.s3_endpoint.is_empty() {
        builder = builder.with_endpoint(&config.s3_endpoint);
    }
    if let Some((id, secret)) = credentials(config, environment)? {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose());
    }
    let blobs = builder.build().map_err(|error| unusable(&error.to_string()))?;
    match config.s3_prefix.is_empty() {
        true => Ok(Arc::new(blobs)),
        false => Ok(Arc::new(PrefixStore::new(blobs, config.s3_prefix.as_str()))),
    }
}

/// The key id and its secret; none means the machine's own role.
#[cfg(feature = "s3")]
fn credentials(
    config: &ObjectsConfig,
    environment: &Environment,
) -> Result<Option<(String, base::Secret<String>)>, Failure> {
    let id = if config.s3_access_key_id.is_empty() {
        environment.get("AWS_ACCESS_KEY_ID").cloned().unwrap_or_default()
    } else {
        config.s3_access_key_id.clone()
    };
    let secret = match (&config.s3_secret_key_file, environment.get("AWS_SECRET_ACCESS_KEY")) {
        (Some(path), _) => {
            let read = crate::config::read_secret_file(path);
            Some(read.map_err(|error| unusable(&error.to_string()))?)
        }
        (None, Some(secret)) => Some(base::Secret::new(secret.clone())),
        (None, None) => None,
    };
    match (id.is_empty(), secret) {
        (false, Some(secret)) => Ok(Some((id, secret))),
        (true, None) => Ok(None),
        _ => Err(unusable("the bucket's key id and its secret go together")
            .remedy("set `objects.s3_access_key_id` and `objects.s3_secret_key_file`, or neither")),
    }
}

#[cfg(not(feature = "s3"))]
fn bucket(_: &ObjectsConfig, _: &Environment) -> Result<Arc<dyn ObjectStore>, Failure> {
    Err(unusable("this build has no support for S3-compatible stores").remedy("build with the feature `s3`"))
}
