//! A pod's own identity towards the servers.

use serde_json::{Value, json};

use crate::space::Space;

/// The node's own programs are borrowed: the image has none that speaks with the servers.
const PODS: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: robot}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: robot-reads}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: robot}]
---
apiVersion: v1
kind: Pod
metadata: {name: asking}
spec:
  serviceAccountName: robot
  volumes:
  - {name: machine, hostPath: {path: /}}
  - {name: scratch, hostPath: {path: SCRATCH, type: DirectoryOrCreate}}
  - name: vault
    projected:
      sources: [{serviceAccountToken: {audience: vault, expirationSeconds: 600, path: token}}]
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, "3600"]
    volumeMounts:
    - {name: machine, mountPath: /machine, readOnly: true}
    - {name: scratch, mountPath: /scratch}
    - {name: vault, mountPath: /vault}
---
apiVersion: v1
kind: Pod
metadata: {name: without}
spec:
  automountServiceAccountToken: false
  containers: [{name: main, image: "busybox:1.36", command: [sleep, "3600"]}]
"#;

const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

pub(super) fn a_pod_speaks_with_the_servers(space: &Space<'_>) {
    let scratch = space.lab.servers.file("scratch").display().to_string();
    space.apply(&PODS.replace("SCRATCH", &scratch));
    space.until_ready("asking");
    assert_eq!(space.shell("asking", &format!("cat {FOLDER}/namespace")), space.name);
    let user = format!("system:serviceaccount:{}:robot", space.name);
    let uid = space.pod("asking").unwrap()["metadata"]["uid"].clone();

    let own = review(space, &format!("{FOLDER}/token"), &[]);
    assert_eq!(
        (&own["authenticated"], &own["user"]["username"]),
        (&true.into(), &user.clone().into()),
        "{own}"
    );
    assert_eq!(own["user"]["extra"]["authentication.kubernetes.io/pod-uid"], json!([uid]), "{own}");
    let refused = review(space, "/vault/token", &[]);
    assert!(refused["authenticated"] != true, "it is for somebody else: {refused}");
    let theirs = review(space, "/vault/token", &["vault"]);
    assert_eq!(
        (&theirs["authenticated"], &theirs["audiences"]),
        (&true.into(), &json!(["vault"])),
        "{theirs}"
    );

    // By way of the Service `kubernetes`, whose addresses are the servers'.
    space.shell("asking", &format!("cp {FOLDER}/ca.crt /scratch"));
    let kubectl = format!(
        "chroot /machine kubectl --server=https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT \
         --kubeconfig=/dev/null --cache-dir={scratch} --certificate-authority={scratch}/ca.crt \
         --token=$(cat {FOLDER}/token) -n {}",
        space.name
    );
    let names = space.shell("asking", &format!("{kubectl} get pods -o name"));
    assert!(names.contains("pod/asking"), "{names}");
    let refused = space.exec("asking", &["sh", "-c", &format!("{kubectl} get secrets")]).err;
    assert!(refused.contains(&format!("User \"{user}\" cannot list resource \"secrets\"")), "{refused}");
    space.until_ready("without");
    assert_eq!(space.shell("without", &format!("test -e {FOLDER} || echo none")), "none\n");
}

/// What the servers say of the token in a file of the pod.
fn review(space: &Space<'_>, file: &str, audiences: &[&str]) -> Value {
    let token = space.shell("asking", &format!("cat {file}"));
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": audiences},
    });
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let printed = space.lab.admin.run_with(&["create", "--raw", path, "-f", "-"], &review.to_string()).ok();
    serde_json::from_str::<Value>(&printed).unwrap()["status"].clone()
}
