"""Proves: the names of the earlier Ansible role are off by default, and complete when compatibility is enabled."""

from scout_chat.chart.scenarios import scenario

from tests.support.objects import engine, one
from tests.support.renders import rendered


def test_by_default_no_object_has_the_earlier_names() -> None:
    assert not [item for item in rendered(scenario("gpt-oss")) if item.name == "vllm-router"]
    assert "app" not in engine(rendered(scenario("gpt-oss")))["spec"]["template"]["metadata"]["labels"]


def test_with_compatibility_the_service_and_the_label_both_exist() -> None:
    objects = rendered(scenario("gpt-oss-compatibility"))
    service = one(objects, "Service", "vllm-router")
    assert service["metadata"]["name"] == "vllm-router"
    assert service["spec"]["ports"][0]["port"] == 8000
    router = one(objects, "Deployment", "-deployment-router")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= router.items()
    assert engine(objects)["spec"]["template"]["metadata"]["labels"]["app"] == "vllm-backend"
