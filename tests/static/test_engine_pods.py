"""Proves: an engine's pod suits one GPU and a slow first download: rollout, weights, shared memory, startup time, tensor parallelism.

It does not prove that the model fits; test_planner.py and test_presets.py do, by the planner.
"""

from scout_chat.chart.render import Case

from tests.support.objects import argument, engines, main, of
from tests.support.renders import rendered


def test_a_rollout_needs_no_second_gpu_and_a_start_has_time_to_download(engine_case: Case) -> None:
    """No second engine during a rollout; the weights' PVC is kept; /dev/shm is in memory; one hour to start, in the local preset 20 minutes."""
    objects = rendered(engine_case)
    claims = [body for body in of(objects, "PersistentVolumeClaim") if body["metadata"]["name"].endswith("-storage-claim")]
    assert all(claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for claim in claims)
    several = any(deployment["spec"]["replicas"] > 1 for deployment in engines(objects))
    one_by_one = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    for deployment in engines(objects):
        assert deployment["spec"]["strategy"] == (one_by_one if several else {"type": "Recreate"})
        pod = deployment["spec"]["template"]
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        claimed = volumes["chat-storage"].get("persistentVolumeClaim", {}).get("claimName")
        assert claimed in [claim["metadata"]["name"] for claim in claims] or volumes["chat-storage"] == {"name": "chat-storage", "emptyDir": {}}
        assert volumes["shm"]["emptyDir"]["medium"] == "Memory"
        probe = main(pod)["startupProbe"]
        assert probe["failureThreshold"] * probe["periodSeconds"] >= (1200 if "local" in engine_case.values else 3600)


def test_tensor_parallel_size_is_the_number_of_gpus(engine_case: Case) -> None:
    for deployment in engines(rendered(engine_case)):
        container = main(deployment["spec"]["template"])
        gpus = int(container["resources"]["requests"].get("nvidia.com/gpu", 0))
        assert int(argument(container, "--tensor-parallel-size")) == max(1, gpus)
