//! Objects without an API, for tests.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::{
    error::{Problem, SourceError},
    source::{ObjectSource, Token},
};

impl Problem {
    /// Whether trying again with the same Pod cannot help.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::Missing(_) | Self::Source(_) | Self::Host { .. } => false,
            Self::Invalid(_) | Self::Unsupported(_) => true,
            Self::Several(problems) => problems.iter().any(Self::is_permanent),
        }
    }
}

/// An API that holds what the test puts there.
pub(crate) struct Objects {
    config_maps: Mutex<BTreeMap<String, Arc<ConfigMap>>>,
    secrets: Mutex<BTreeMap<String, Arc<Secret>>>,
    services: Mutex<Vec<Arc<Service>>>,
    time: Mutex<OffsetDateTime>,
    failing: AtomicBool,
    tokens: AtomicU32,
}

impl Objects {
    pub(crate) fn at(time: OffsetDateTime) -> Self {
        Self {
            config_maps: Mutex::default(),
            secrets: Mutex::default(),
            services: Mutex::default(),
            time: Mutex::new(time),
            failing: AtomicBool::default(),
            tokens: AtomicU32::default(),
        }
    }

    pub(crate) fn set_time(&self, time: OffsetDateTime) {
        *self.time.lock().unwrap() = time;
    }

    /// From now on nothing can be had.
    pub(crate) fn fail(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    /// How many tokens have been issued.
    pub(crate) fn tokens(&self) -> u32 {
        self.tokens.load(Ordering::Relaxed)
    }

    pub(crate) fn put_config_map(&self, name: &str, object: Value) {
        let object = Arc::new(serde_json::from_value(object).unwrap());
        self.config_maps.lock().unwrap().insert(name.to_owned(), object);
    }

    pub(crate) fn put_secret(&self, name: &str, object: Value) {
        let object = Arc::new(serde_json::from_value(object).unwrap());
        self.secrets.lock().unwrap().insert(name.to_owned(), object);
    }

    pub(crate) fn put_service(&self, namespace: &str, name: &str, address: &str) {
        let metadata = json!({"namespace": namespace, "name": name});
        let service = json!({"metadata": metadata, "spec": {"clusterIP": address, "ports": [{"port": 80}]}});
        self.services.lock().unwrap().push(Arc::new(serde_json::from_value(service).unwrap()));
    }

    fn check(&self) -> Result<(), SourceError> {
        match self.failing.load(Ordering::Relaxed) {
            true => Err(SourceError::Unavailable("the API is away".into())),
            false => Ok(()),
        }
    }
}

impl ObjectSource for Objects {
    async fn config_map(&self, _: &str, name: &str) -> Result<Option<Arc<ConfigMap>>, SourceError> {
        self.check()?;
        Ok(self.config_maps.lock().unwrap().get(name).cloned())
    }

    async fn secret(&self, _: &str, name: &str) -> Result<Option<Arc<Secret>>, SourceError> {
        self.check()?;
        Ok(self.secrets.lock().unwrap().get(name).cloned())
    }

    async fn token(&self, _: &Pod, audience: Option<&str>, seconds: i64) -> Result<Token, SourceError> {
        self.check()?;
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        let value = format!("token-{number}-for-{}", audience.unwrap_or("api"));
        Ok(Token { value, expires: *self.time.lock().unwrap() + Duration::seconds(seconds) })
    }

    fn services(&self, namespace: &str) -> Result<Vec<Arc<Service>>, SourceError> {
        self.check()?;
        let services = self.services.lock().unwrap();
        let here = services.iter().filter(|service| service.metadata.namespace.as_deref() == Some(namespace));
        Ok(here.cloned().collect())
    }
}

/// Whether this machine lets the tests mount; says so under the test's name if not.
pub(crate) fn may_mount(test: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    match crate::tmpfs::mount(folder.path(), Some(4096)) {
        Ok(()) => {
            rustix::mount::unmount(folder.path(), rustix::mount::UnmountFlags::empty()).unwrap();
            true
        }
        Err(error) => {
            println!("skipped: {test}: mounting is not permitted here: {error}");
            false
        }
    }
}

/// Whether this machine lets the tests give files away; says so under the test's name if not.
pub(crate) fn may_chown(test: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    match std::os::unix::fs::lchown(folder.path(), Some(12345), Some(12345)) {
        Ok(()) => true,
        Err(error) => {
            println!("skipped: {test}: changing owners is not permitted here: {error}");
            false
        }
    }
}
