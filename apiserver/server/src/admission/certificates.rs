//! Certificate requests tell who asks; who approves, signs or attests has leave to; nobody becomes a master by a
//! client certificate.
//!
//! Source: `plugin/pkg/admission/certificates` and `pkg/registry/certificates/certificates` of Kubernetes.

use keelson_api_registry::{kinds::certificates::signing_request, object::Object, status::ApiError};
use serde_json::{Value, json};

use super::{Attributes, Mutate, Operation, Validate, Verdict};
use crate::{
    authz::{
        MASTERS,
        attributes::{self, ResourceAttributes},
    },
    write::identity::timestamp,
};

/// The group of the kinds, and of the signers whose use is a right.
const GROUP: &str = "certificates.k8s.io";

/// The signer of certificates that this server takes for users.
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

const REQUESTS: &str = "certificatesigningrequests";
const BUNDLES: &str = "clustertrustbundles";

impl Attributes<'_> {
    fn is_certificates(&self, plural: &str) -> bool {
        self.resource.group == GROUP && self.resource.plural == plural
    }

    /// Whether the user may do that to what a signer is asked for; a right to all signers of a domain counts.
    fn may_use_signer(&self, verb: &str, signer: &str) -> bool {
        let domain = signer.split('/').next().unwrap_or_default();
        let names = [signer.to_owned(), format!("{domain}/*")];
        names.iter().any(|name| {
            let signer = ResourceAttributes { group: GROUP, resource: "signers", name, ..Default::default() };
            let asked = attributes::Attributes { verb, object: attributes::Object::Resource(signer) };
            self.server.authorizer.allows(self.user, &asked)
        })
    }
}

/// Writes into new requests who asks, and into conditions since when they hold.
pub(super) struct CertificateRequests;

impl Mutate for CertificateRequests {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        let is_part = matches!(write.subresource, "approval" | "status");
        write.is_certificates(REQUESTS)
            && match write.operation {
                Operation::Create => !is_part,
                Operation::Update => is_part,
                Operation::Delete => false,
            }
    }

    fn mutate<'a>(&'a self, write: &'a Attributes<'a>, request: &'a mut Object) -> Verdict<'a> {
        match write.old {
            None => sign_in(write, request),
            Some(old) => signing_request::stamp(request, old, &timestamp(write.server.now())),
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

fn sign_in(write: &Attributes<'_>, request: &mut Object) {
    let user = write.user;
    let groups = if user.groups.is_empty() { Value::Null } else { json!(user.groups) };
    let extra = if user.extra.is_empty() { Value::Null } else { json!(user.extra) };
    let fields = [
        ("username", user.name.as_str().into()),
        ("uid", user.uid.as_str().into()),
        ("groups", groups),
        ("extra", extra),
    ];
    for (field, value) in fields {
        let path = ["spec", field];
        match value {
            Value::Null => drop(request.remove(&path)),
            Value::String(text) if text.is_empty() => drop(request.remove(&path)),
            value => request.set(&path, value),
        }
    }
}

/// Judges who decides, signs and attests.
pub(super) struct Signers;

impl Validate for Signers {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        let changes = write.operation != Operation::Delete;
        changes && (write.is_certificates(REQUESTS) || write.is_certificates(BUNDLES))
    }

    fn validate<'a>(&'a self, write: &'a Attributes<'a>, object: Option<&'a Object>) -> Verdict<'a> {
        Box::pin(std::future::ready(object.map_or(Ok(()), |object| judge(write, object))))
    }
}

fn judge(write: &Attributes<'_>, object: &Object) -> Result<(), ApiError> {
    let signer = object.text(&["spec", "signerName"]);
    let right = match (write.resource.plural, write.subresource) {
        (REQUESTS, "approval") => "approve",
        (REQUESTS, "status") if write.old.is_some_and(|old| signs(object, old)) => "sign",
        (REQUESTS, "") if write.operation == Operation::Create => {
            return check_subject(write, object, signer);
        }
        (BUNDLES, "") if !signer.is_empty() => "attest",
        _ => return Ok(()),
    };
    if write.may_use_signer(right, signer) {
        return Ok(());
    }
    let why = match right {
        "attest" => format!("user not permitted to attest for signerName {signer:?}"),
        verb => format!("user not permitted to {verb} requests with signerName {signer:?}"),
    };
    Err(write.forbidden(why))
}

/// Whether a change of status is a signer's: of the certificate, or of conditions.
fn signs(request: &Object, old: &Object) -> bool {
    [["status", "certificate"], ["status", "conditions"]]
        .iter()
        .any(|path| request.get(path) != old.get(path))
}

fn check_subject(write: &Attributes<'_>, request: &Object, signer: &str) -> Result<(), ApiError> {
    let is_master = || signing_request::organizations(request).iter().any(|group| group == MASTERS);
    if signer == CLIENT_SIGNER && is_master() {
        return Err(write
            .forbidden(format_args!("use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")));
    }
    Ok(())
}
