//! An IPAddress that a Service has stays as long as the Service: without it, the address would be given away again.
//!
//! Deliberately absent: upstream's way, which is to let it go and to make it again after a while. Here the claim and the
//! Service are one transaction, and nothing else repairs it.

use keelson_api_registry::{object::Object, status::ApiError};
use serde_json::Value;

use super::{Attributes, Operation, Validate, Verdict, known};

/// The admission step.
pub(super) struct ServiceAddress;

impl Validate for ServiceAddress {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        let resource = write.resource;
        write.operation == Operation::Delete
            && (resource.group, resource.plural) == ("networking.k8s.io", "ipaddresses")
    }

    fn validate<'a>(&'a self, write: &'a Attributes<'a>, _object: Option<&'a Object>) -> Verdict<'a> {
        Box::pin(async move {
            match holder(write).await? {
                Some(service) => Err(write.forbidden(format!(
                    "it is the cluster IP of Service {}/{}, and goes with that",
                    service.namespace(),
                    service.name()
                ))),
                None => Ok(()),
            }
        })
    }
}

/// The Service that has the address.
async fn holder(write: &Attributes<'_>) -> Result<Option<Object>, ApiError> {
    let objects = &write.server.objects;
    let Some(address) = objects.get(write.resource, "", write.name).await? else { return Ok(None) };
    let parent = |field: &str| address.object.text(&["spec", "parentRef", field]);
    if (parent("group"), parent("resource")) != ("", "services") {
        return Ok(None);
    }
    let service = objects.get(known("", "services"), parent("namespace"), parent("name")).await?;
    Ok(service.map(|service| service.object).filter(|service| has(service, write.name)))
}

fn has(service: &Object, address: &str) -> bool {
    service.list(&["spec", "clusterIPs"]).iter().filter_map(Value::as_str).any(|ip| ip == address)
}
