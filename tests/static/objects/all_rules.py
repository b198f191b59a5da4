"""Every rule by its name in tests/waivers.yaml."""

from tests.static.objects import (
    test_autoscaling,
    test_hooks,
    test_images,
    test_kubernetes_schema,
    test_labels,
    test_merge_keys,
    test_names,
    test_namespace,
    test_pod_security,
    test_probes,
    test_references,
    test_resources,
    test_secrets,
    test_selectors,
    test_service_account_tokens,
)

RULES = {
    rule.name: rule
    for rule in (
        test_kubernetes_schema.SCHEMA,
        test_kubernetes_schema.ARCHIVED_SCHEMA,
        test_merge_keys.MERGE_KEYS,
        test_selectors.SELECTORS,
        test_references.REFERENCES,
        test_hooks.HOOKS,
        test_probes.PROBES,
        test_resources.RESOURCES,
        test_pod_security.BASELINE,
        test_pod_security.RESTRICTED,
        test_images.IMAGES,
        test_secrets.SECRETS,
        test_names.NAMES,
        test_autoscaling.REPLICAS,
        test_namespace.NAMESPACE,
        test_labels.LABELS,
        test_service_account_tokens.TOKENS,
    )
}
