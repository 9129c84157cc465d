"""What a program with the official Python client does. In: a kubeconfig file, a namespace. Out: 0, or what went wrong."""

import sys

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException

config.load_kube_config(sys.argv[1])
namespace = sys.argv[2]
core, apps = client.CoreV1Api(), client.AppsV1Api()


def refused(status, reason, call):
    try:
        call()
    except ApiException as error:
        assert (error.status, reason in error.body) == (status, True), error
        return
    raise AssertionError(f"{reason} was expected")


assert client.VersionApi().get_code().major == "1"
assert len(client.ApisApi().get_api_versions().groups) > 10
core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))

settings = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="settings", labels={"a": "b"}), data={"x": "1"})
core.create_namespaced_config_map(namespace, settings)
refused(409, "AlreadyExists", lambda: core.create_namespaced_config_map(namespace, settings))
refused(404, "NotFound", lambda: core.read_namespaced_config_map("absent", namespace))
assert core.patch_namespaced_config_map("settings", namespace, {"data": {"y": "2"}}).data == {"x": "1", "y": "2"}
operations = [{"op": "replace", "path": "/data/y", "value": "3"}]
assert core.patch_namespaced_config_map("settings", namespace, operations).data["y"] == "3"
page = core.list_namespaced_config_map(namespace, label_selector="a=b", limit=1)
assert [item.metadata.name for item in page.items] == ["settings"]

seen = [
    (event["type"], event["object"].metadata.name)
    for event in watch.Watch().stream(
        core.list_namespaced_config_map, namespace, field_selector="metadata.name=settings", timeout_seconds=1
    )
]
assert seen == [("ADDED", "settings")], seen

template = client.V1PodTemplateSpec(
    metadata=client.V1ObjectMeta(labels={"a": "b"}),
    spec=client.V1PodSpec(containers=[client.V1Container(name="c", image="busybox")]),
)
spec = client.V1DeploymentSpec(replicas=1, selector=client.V1LabelSelector(match_labels={"a": "b"}), template=template)
apps.create_namespaced_deployment(
    namespace, client.V1Deployment(metadata=client.V1ObjectMeta(name="web"), spec=spec)
)
assert apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 2}}).spec.replicas == 2
kinds = dynamic.DynamicClient(client.ApiClient())
deployments = kinds.resources.get(api_version="apps/v1", kind="Deployment")
applied = kinds.server_side_apply(
    deployments,
    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3}},
    namespace=namespace,
    field_manager="python",
    force_conflicts=True,
)
assert applied.spec.replicas == 3
apps.delete_namespaced_deployment("web", namespace)
core.delete_collection_namespaced_config_map(namespace, label_selector="a=b")
assert core.list_namespaced_config_map(namespace, label_selector="a=b").items == []
core.delete_namespace(namespace)
