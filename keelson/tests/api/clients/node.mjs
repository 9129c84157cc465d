// What a program with the official JavaScript client does. In: a kubeconfig file, a namespace, the client's module.
// Out: 0, or what went wrong.

import assert from "node:assert/strict";

const [kubeconfig, namespace, module] = process.argv.slice(2);
const k8s = await import(module);
const config = new k8s.KubeConfig();
config.loadFromFile(kubeconfig);
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const refused = (code, call) => assert.rejects(call, (error) => error.code === code);

assert.equal((await config.makeApiClient(k8s.VersionApi).getCode()).major, "1");
await core.createNamespace({ body: { metadata: { name: namespace } } });
const settings = { metadata: { name: "settings" }, data: { x: "1" } };
await core.createNamespacedConfigMap({ namespace, body: settings });
await refused(409, () => core.createNamespacedConfigMap({ namespace, body: settings }));
await refused(404, () => core.readNamespacedConfigMap({ namespace, name: "absent" }));
const operations = [{ op: "replace", path: "/data/x", value: "2" }];
const patched = await core.patchNamespacedConfigMap({ namespace, name: "settings", body: operations });
assert.deepEqual(patched.data, { x: "2" });
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const wanted = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings", namespace }, data: { y: "3" } };
const apply = k8s.PatchStrategy.ServerSideApply;
const applied = await objects.patch(wanted, undefined, undefined, "javascript", true, apply);
assert.deepEqual(applied.data, { x: "2", y: "3" });

const path = `/api/v1/namespaces/${namespace}/configmaps`;
const informer = k8s.makeInformer(config, path, () => core.listNamespacedConfigMap({ namespace }));
const told = new Promise((resolve) => {
    const seen = [];
    for (const event of ["add", "update", "delete"]) {
        informer.on(event, (object) => {
            if (object.metadata.name === "later" && seen.push(event) === 2) resolve(seen);
        });
    }
});
await informer.start();
await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "later" } } });
await core.deleteNamespacedConfigMap({ namespace, name: "later" });
assert.deepEqual(await told, ["add", "delete"]);

const template = { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "busybox" }] } };
const spec = { replicas: 1, selector: { matchLabels: { a: "b" } }, template };
await apps.createNamespacedDeployment({ namespace, body: { metadata: { name: "web" }, spec } });
assert.equal((await apps.readNamespacedDeploymentScale({ namespace, name: "web" })).spec.replicas, 1);
assert.equal((await apps.deleteNamespacedDeployment({ namespace, name: "web" })).status, "Success");
await core.deleteNamespace({ name: namespace });
// The informer watches on until it is told to end, which it reports as an error.
process.exit(0);
