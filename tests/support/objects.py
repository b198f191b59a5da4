"""Read rendered objects: pods, containers, arguments, and the environment of Open WebUI."""

from collections.abc import Iterable

from scout_chat.chart.render import Object
from scout_chat.core.kubeyaml import KubeObject

ENGINE_SUFFIX = "-deployment-vllm"


def of(objects: Iterable[Object], kind: str) -> list[KubeObject]:
    """Return the objects of a kind."""
    return [item.body for item in objects if item.kind == kind]


def one(objects: Iterable[Object], kind: str, suffix: str) -> KubeObject:
    """Return the one object of the kind whose name ends with the suffix."""
    found = [body for body in of(objects, kind) if body["metadata"]["name"].endswith(suffix)]
    assert len(found) == 1, f"{kind} *{suffix}: {[body['metadata']['name'] for body in of(objects, kind)]}"
    return found[0]


def pods(objects: Iterable[Object]) -> dict[str, KubeObject]:
    """Return the pod templates of Deployments, and Pods, by the name of the object."""
    return {item.name: item.body if item.kind == "Pod" else item.body["spec"]["template"] for item in objects if item.kind in ("Deployment", "Pod")}


def component(objects: Iterable[Object], name: str) -> list[KubeObject]:
    """Return the pods of a component, by the label app.kubernetes.io/component."""
    return [pod for pod in pods(objects).values() if pod["metadata"]["labels"].get("app.kubernetes.io/component") == name]


def containers(objects: Iterable[Object]) -> list[KubeObject]:
    """Return every container of every pod, init containers included."""
    return [part for pod in pods(objects).values() for part in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"])]


def main(pod: KubeObject) -> KubeObject:
    """Return the first container of a pod."""
    container: KubeObject = pod["spec"]["containers"][0]
    return container


def engines(objects: Iterable[Object]) -> list[KubeObject]:
    """Return the Deployments of engines; at least one."""
    found = [body for body in of(objects, "Deployment") if body["metadata"]["name"].endswith(ENGINE_SUFFIX)]
    assert found
    return found


def engine(objects: Iterable[Object], model: str = "") -> KubeObject:
    """Return the Deployment of the only engine, or of the model's."""
    return one(objects, "Deployment", f"{model}{ENGINE_SUFFIX}")


def engine_container(objects: Iterable[Object], model: str = "") -> KubeObject:
    """Return the container that runs vLLM."""
    return main(engine(objects, model)["spec"]["template"])


def argument(container: KubeObject, flag: str) -> str:
    """Return the value of the flag's last occurrence, which argparse uses."""
    words: list[str] = container.get("args") or container["command"]
    return words[len(words) - words[::-1].index(flag)]


def variables(container: KubeObject) -> dict[str, str]:
    """Return the container's own variables. One that takes its value from elsewhere is empty."""
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def webui_settings(objects: Iterable[Object]) -> dict[str, str]:
    """Return the ConfigMap with the environment of Open WebUI."""
    (found,) = [item.body["data"] for item in objects if item.kind == "ConfigMap" and "-webui-env-" in item.name]
    return dict(found)


def webui_environment(objects: Iterable[Object]) -> dict[str, str]:
    """Return every variable of the container of Open WebUI; for a Secret's key, ``name/key``.

    The container's own variables override those of a ConfigMap, as in Kubernetes.
    """
    objects = list(objects)
    container = main(component(objects, "open-webui")[0])
    maps = {body["metadata"]["name"]: body["data"] for body in of(objects, "ConfigMap")}
    values: dict[str, str] = {}
    for source in container["envFrom"]:
        if "configMapRef" in source:
            values |= maps[source["configMapRef"]["name"]]
    for entry in container["env"]:
        key = entry.get("valueFrom", {}).get("secretKeyRef")
        values[entry["name"]] = f"{key['name']}/{key['key']}" if key else entry["value"]
    return values
