"""Proves: a mistake is refused with one message that says where it is, by Helm 3 and by Helm 4, and before any subchart speaks."""

from dataclasses import replace

import pytest
from scout_chat import install
from scout_chat.render import RenderError, render
from scout_chat.scenarios import scenario

LOCAL, GPT, EXTERNAL = scenario("local"), scenario("gpt-oss"), scenario("external")
SPEC = "vllm-stack.servingEngineSpec.modelSpec[0]"
REFUSALS = {
    "no preset": (replace(LOCAL, values=()), (), "no model: vllm-stack.servingEngineSpec.modelSpec is empty. Add a preset"),
    "preset and external": (GPT, ("global.llm.mode=external",), "global.llm.mode is external, but a preset also asks for an engine (vllm-stack.servingEngineSpec.modelSpec: gpt-oss-120b)"),
    "external with a router": (EXTERNAL, ("vllm-stack.enabled=true",), "global.llm.mode is external, but vllm-stack.enabled is true"),
    "external without an address": (EXTERNAL, ("global.llm.url=",), "global.llm.url must be the endpoint with its path"),
    "no mode": (GPT, ("global.llm.mode=olama",), 'global.llm.mode is "olama"; it must be vllm or external'),
    "an address that nobody uses": (GPT, ("global.llm.url=http://x/v1",), "global.llm.url is set (http://x/v1), but global.llm.mode is vllm"),
    "no engine behind vllm": (GPT, ("vllm-stack.enabled=false",), "vllm-stack.enabled is false, but global.llm.mode is vllm"),
    "two routers": (GPT, ("global.llm.router=vllm-router",), "two routers would claim one Service"),
    "no router": (GPT, ("vllm-stack.routerSpec.enableRouter=false",), "no router would run"),
    "unknown router": (GPT, ("global.llm.router=nginx",), 'global.llm.router is "nginx"'),
    "session without key": (GPT, ("vllm-stack.routerSpec.sessionKey=", "global.llm.affinity.enabled=false"), "routingLogic is session, but sessionKey is empty"),
    "two headers": (GPT, ("vllm-stack.routerSpec.sessionKey=x-user-id",), 'the chat sends its session in "x-session-id" (global.llm.affinity.header), but the router looks at "x-user-id"'),
    "a header that vllm-router ignores": (LOCAL, ("global.llm.affinity.header=x-chat",), "vllm-router looks at x-session-id alone"),
    "another model's name": (GPT, ("global.llm.model=gpt-oss",), 'global.llm.model is "gpt-oss", but the engines serve gpt-oss-120b'),
    "no model's name": (GPT, ("global.llm.model=",), "global.llm.model is empty"),
    "a name that no Service can have": (GPT, (f"{SPEC}.name=Qwen2.5_7B",), f'{SPEC}.name is "Qwen2.5_7B"'),
    "names too long together": (replace(GPT, release="a-release-name-of-forty-characters-in-all"), (), "are too long together"),
    "no repository": (GPT, (f"{SPEC}.repository=",), f"{SPEC}.repository is missing"),
    "no shared memory": (GPT, (f"{SPEC}.vllmConfig.tensorParallelSize=null",), f"{SPEC}.vllmConfig.tensorParallelSize is missing"),
    "a key in plain sight": (GPT, ("vllm-stack.servingEngineSpec.vllmApiKey=secret",), "vllmApiKey is a plain string"),
    "a key on one side": (GPT, ("global.llm.apiKey.existingSecret=k",), 'the engine takes its key from Secret "" (vllm-stack.servingEngineSpec.vllmApiKey.secretName), the chat from "k"'),
    "two key names": (
        GPT,
        ("global.llm.apiKey.existingSecret=k", "vllm-stack.servingEngineSpec.vllmApiKey.secretName=k", "vllm-stack.servingEngineSpec.vllmApiKey.secretKey=b"),
        'the engine reads key "b" of Secret k',
    ),
    "unknown model access": (LOCAL, ("global.chat.modelAccess=everyone",), 'global.chat.modelAccess is "everyone"; it must be all-users or by-grant'),
    "an address with a path": (LOCAL, ("global.chat.url=https://example.org/chat",), "it must be the chat's address without a path"),
    "a list that drops the environment": (LOCAL, ("open-webui.extraEnvFrom[0].secretRef.name=x",), "open-webui.extraEnvFrom no longer loads this chart's environment"),
    "a list that drops the secrets": (LOCAL, ("open-webui.commonEnvVars[0].name=x",), "open-webui.commonEnvVars no longer holds this chart's Secrets"),
    "half of the old names": (GPT, ("compatibility.enabled=true",), "add -f values/overlays/compatibility.yaml"),
}  # fmt: skip


@pytest.mark.parametrize("helm", ["helm", "helm3"])
@pytest.mark.parametrize("mistake", REFUSALS)
def test_refused_with_its_message(mistake: str, helm: str) -> None:
    case, sets, message = REFUSALS[mistake]
    with install.chart_for(scenario("local")) as chart, pytest.raises(RenderError) as refused:
        render(replace(case, sets=sets, helm=helm), chart)
    assert message in str(refused.value)
    # The chart's own words, without Helm's wrapping or a subchart's trace.
    assert "execution error" not in str(refused.value) and "nil pointer" not in str(refused.value)
