{{/*
Named templates are global in Helm, so every name here begins with "scout-chat.". A comment says what the template returns, then its
input (In) and, where it is not plain text, its output (Out).

Rendering order. Helm renders the templates with the deepest paths first. This chart relies on that to run three steps in order:

1. templates/settings/before/the/checks/ copies `global`, `engine` and `engines` into the values of the two subcharts. Helm gives a
   subchart the same maps that `.Values` holds here, so the subchart sees the change. Helm does not store it with the release.
2. templates/validate/before/subcharts/ checks the result. A mistake fails here with a message, and not inside a subchart.
3. The other templates of this chart and the templates of the subcharts render the objects.

The folder names have no other purpose than to make the paths of step 1 deeper than those of step 2, and those deeper than the
subcharts' templates. The files of steps 1 and 2 render nothing. Step 1 leaves notes for the later steps in `.Values.handedOn`:
`from` (by engine and key, the path of the value that the user set, for messages), `commonEnvVars` (the user's own variables of the
chat) and `prefetched` (whether an engine downloads its weights in an init container). The template "scout-chat.partOf" fails if a
future Helm renders in another order.

Helm sorts paths of equal depth in reverse alphabetical order. So settings/.../engines.yaml, which creates `.Values.handedOn`, comes
before chat.yaml, which adds to it.
*/}}

{{/* Labels of this chart's own objects. In: list of the root context and a component, (list $ "name"). Out: YAML. */}}
{{- define "scout-chat.labels" -}}
{{- $root := index . 0 -}}
{{ include "scout-chat.selectorLabels" . }}
app.kubernetes.io/part-of: scout-chat
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Labels that select the pods of a component. A selector is immutable, so no version is among them. In: as above. Out: YAML. */}}
{{- define "scout-chat.selectorLabels" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The full name of the open-webui chart, computed as that chart does. In: the root context of this chart. */}}
{{- define "scout-chat.webuiFullname" -}}
{{- $webui := index .Values "open-webui" -}}
{{- $name := $webui.nameOverride | default "open-webui" -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- $webui.fullnameOverride | default $full | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* Name of the Secret that this chart creates for the keys that the user provides no Secret for. In: the root. */}}
{{- define "scout-chat.webuiSecretName" -}}
{{ .Release.Name }}-webui-secrets
{{- end }}

{{/*
The secret variables of the chat, each with its Secret: the user's or the created one. In: the root. Out: a YAML list of
{variable, at (the path in the values), name, key}.
*/}}
{{- define "scout-chat.chatSecrets" -}}
{{- $created := include "scout-chat.webuiSecretName" . -}}
{{- $chat := .Values.global.chat -}}
{{- $llm := .Values.global.llm -}}
- {variable: WEBUI_SECRET_KEY, at: global.chat.secretKey, name: {{ $chat.secretKey.existingSecret | default $created }}, key: {{ $chat.secretKey.key | quote }}}
- {variable: WEBUI_ADMIN_PASSWORD, at: global.chat.auth.admin, name: {{ include "scout-chat.adminSecret" . }}, key: {{ $chat.auth.admin.passwordKey | quote }}}
- {variable: OPENAI_API_KEY, at: global.llm.apiKey, name: {{ $llm.apiKey.existingSecret | default $created }}, key: {{ $llm.apiKey.key | quote }}}
- {variable: OAUTH_CLIENT_SECRET, at: global.chat.auth.oidc, name: {{ $chat.auth.oidc.existingSecret | default $created }}, key: {{ $chat.auth.oidc.key | quote }}}
{{- end }}

{{/* Name of the Secret with the first administrator's password. In: the root. */}}
{{- define "scout-chat.adminSecret" -}}
{{ .Values.global.chat.auth.admin.existingSecret | default (include "scout-chat.webuiSecretName" .) }}
{{- end }}

{{/* Name of the ConfigMap with the download script of weights.prefetch. In: the root. */}}
{{- define "scout-chat.prefetchName" -}}
{{ .Release.Name }}-weights-prefetch
{{- end }}

{{/* URL of the OpenAI-compatible API that the chat uses, with /v1. Both routers have the same Service name and port. In: the root. */}}
{{- define "scout-chat.llmUrl" -}}
{{- $llm := .Values.global.llm -}}
{{- if eq $llm.mode "external" -}}
{{ trimSuffix "/" $llm.url }}
{{- else -}}
http://{{ .Release.Name }}-router-service.{{ .Release.Namespace }}.svc/v1
{{- end -}}
{{- end }}

{{/* Name of the ConfigMap with the environment of the chat. It contains a hash of the content. In: the root. */}}
{{- define "scout-chat.webuiEnvName" -}}
{{ .Release.Name }}-webui-env-{{ include "scout-chat.webuiEnv" . | sha256sum | trunc 10 }}
{{- end }}

{{/* The port of a URL; 443 or 80 if it names none. In: the URL. */}}
{{- define "scout-chat.urlPort" -}}
{{- $url := urlParse . -}}
{{- if contains ":" $url.host }}{{ splitList ":" $url.host | last }}{{ else }}{{ eq $url.scheme "https" | ternary 443 80 }}{{ end -}}
{{- end }}

{{/*
The egress rule for a URL in the values. For a host outside the cluster: networkPolicy.outsideTo, on the URL's port. For a Service
(NAME.NAMESPACE.svc): every port of the pods in that namespace, because a NetworkPolicy matches the pod's port and the URL has the Service's.
In: list of the root and the URL. Out: YAML.
*/}}
{{- define "scout-chat.egressTo" -}}
{{- $root := index . 0 -}}
{{- $host := regexReplaceAll ":[0-9]+$" (urlParse (index . 1)).host "" -}}
{{- if regexMatch "^[^.]+(\\.[^.]+\\.svc(\\.cluster\\.local)?)?$" $host -}}
{{- $parts := splitList "." $host -}}
{{- $namespace := $root.Release.Namespace -}}
{{- if gt (len $parts) 1 }}{{ $namespace = index $parts 1 }}{{ end -}}
{{ dict "to" (list (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" $namespace)))) | toYaml }}
{{- else -}}
{{ dict "to" $root.Values.networkPolicy.outsideTo "ports" (list (dict "port" (include "scout-chat.urlPort" (index . 1) | int) "protocol" "TCP")) | toYaml }}
{{- end -}}
{{- end }}

{{/* The value of a command-line argument, or nothing. The last occurrence wins. In: list of the arguments and the flag. */}}
{{- define "scout-chat.argumentValue" -}}
{{- $flag := index . 1 -}}
{{- $value := "" -}}
{{- $last := "" -}}
{{- range index . 0 -}}
{{- /* validate/before/subcharts/engines.yaml refuses arguments that are not text. */ -}}
{{- $argument := toString . -}}
{{- if eq $last $flag }}{{ $value = $argument }}{{ end -}}
{{- if hasPrefix (printf "%s=" $flag) $argument }}{{ $value = trimPrefix (printf "%s=" $flag) $argument }}{{ end -}}
{{- $last = $argument -}}
{{- end -}}
{{- $value -}}
{{- end }}

{{/*
The value of the label app.kubernetes.io/part-of of the chat's pods, and a guard of the rendering order. The open-webui chart renders
it (open-webui.podLabels in values.yaml). It fails unless templates/settings has run before: another order would drop settings silently.
In: the root context of the open-webui chart.
*/}}
{{- define "scout-chat.partOf" -}}
{{- if not .Values.handedOn -}}
{{- fail "this release of Helm rendered the open-webui chart before the templates of scout-chat, so global, engine and engines would have no effect: install with a Helm release that this chart is tested with (3.22 or 4.3)" -}}
{{- end -}}
scout-chat
{{- end }}

{{/* The repository of an image, with its registry replaced by global.imageRegistry. In: list of the root and the repository. */}}
{{- define "scout-chat.repository" -}}
{{- $registry := trimSuffix "/" (index . 0).Values.global.imageRegistry -}}
{{- $repository := index . 1 -}}
{{- if or (not $registry) (hasPrefix (printf "%s/" $registry) $repository) -}}
{{ $repository }}
{{- else -}}
{{- $first := splitList "/" $repository | first -}}
{{- if and (contains "/" $repository) (or (contains "." $first) (contains ":" $first) (eq $first "localhost")) -}}
{{- $repository = trimPrefix (printf "%s/" $first) $repository -}}
{{- end -}}
{{ $registry }}/{{ $repository }}
{{- end -}}
{{- end }}

{{/* Lists of EnvVar merged by name: the last value wins, at the position of the first. In: list of lists. Out: a YAML list. */}}
{{- define "scout-chat.mergedEnv" -}}
{{- $names := list -}}
{{- $entries := dict -}}
{{- range . -}}
{{- range . -}}
{{- $names = append $names .name | uniq -}}
{{- $_ := set $entries .name . -}}
{{- end -}}
{{- end -}}
{{- $merged := list -}}
{{- range $names }}{{ $merged = append $merged (get $entries .) }}{{ end -}}
{{ toYaml $merged }}
{{- end }}

{{/* Whether a tag is known to move from image to image. In: the tag. Out: "true" or nothing. */}}
{{- define "scout-chat.mutableTag" -}}
{{- if has (toString .) (list "latest" "main" "nightly" "dev" "edge") }}true{{ end -}}
{{- end }}

{{/* Whether a variable contains a secret in plain text. In: an EnvVar. Out: "true" or nothing. */}}
{{- define "scout-chat.plainTextSecret" -}}
{{- if and .value (or (regexMatch "(_KEY|_KEYS|_TOKEN|PASSWORD|SECRET)$" .name) (regexMatch "://[^/@]*:[^/@]+@" (toString .value))) }}true{{ end -}}
{{- end }}

{{/* Hosts that bypass the proxy, separated by commas: localhost, the cluster, hosts without a dot, and the user's list. In: the root. */}}
{{- define "scout-chat.noProxy" -}}
{{- $hosts := list "localhost" "127.0.0.1" "::1" ".svc" ".cluster.local" -}}
{{- range list .Values.global.llm.url .Values.global.chat.auth.oidc.issuer -}}
{{- $host := regexReplaceAll ":[0-9]+$" (urlParse .).host "" -}}
{{- if and $host (not (contains "." $host)) }}{{ $hosts = append $hosts $host }}{{ end -}}
{{- end -}}
{{ concat $hosts .Values.global.proxy.noProxy | uniq | join "," }}
{{- end }}

{{/* Variables for global.proxy and global.trustedCA, under the names that HTTP clients in Python and Rust read. In: the root. Out: a YAML map. */}}
{{- define "scout-chat.proxyAndCaEnv" -}}
{{- $env := dict -}}
{{- $proxy := .Values.global.proxy -}}
{{- range $scheme, $name := dict "http" "HTTP_PROXY" "https" "HTTPS_PROXY" -}}
{{- with get $proxy $scheme }}{{ $_ := set $env $name . }}{{ $_ := set $env (lower $name) . }}{{ end -}}
{{- end -}}
{{- if $env -}}
{{- $hosts := include "scout-chat.noProxy" . -}}
{{- $_ := set $env "NO_PROXY" $hosts }}{{ $_ := set $env "no_proxy" $hosts -}}
{{- end -}}
{{- if include "scout-chat.caVolume" . -}}
{{- range list "SSL_CERT_FILE" "REQUESTS_CA_BUNDLE" "CURL_CA_BUNDLE" "AIOHTTP_CLIENT_SSL_CERT_FILE" }}{{ $_ := set $env . "/etc/scout-chat/trusted-ca/ca.crt" }}{{ end -}}
{{- end -}}
{{ toYaml $env }}
{{- end }}

{{/* The volume with the bundle of global.trustedCA. In: the root. Out: YAML, or nothing if no bundle is set. */}}
{{- define "scout-chat.caVolume" -}}
{{- $ca := .Values.global.trustedCA -}}
{{- $items := list (dict "key" $ca.key "path" "ca.crt") -}}
{{- if $ca.configMap -}}
{{ dict "name" "trusted-ca" "configMap" (dict "name" $ca.configMap "items" $items) | toYaml }}
{{- else if $ca.secret -}}
{{ dict "name" "trusted-ca" "secret" (dict "secretName" $ca.secret "items" $items) | toYaml }}
{{- end -}}
{{- end }}

{{/* The volume mount for the CA bundle. Out: YAML. */}}
{{- define "scout-chat.caMount" -}}
{{ dict "name" "trusted-ca" "mountPath" "/etc/scout-chat/trusted-ca" "readOnly" true | toYaml }}
{{- end }}

{{/* A Kubernetes quantity of storage or memory in bytes; 0 if it is not a quantity. In: the quantity. */}}
{{- define "scout-chat.bytes" -}}
{{- /* Helm reads 68000000000 as a float, whose text is 6.8e+10. */ -}}
{{- if kindIs "float64" . }}{{ . }}{{ else -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9]+(\\.[0-9]+)?" $text | default "0" -}}
{{- $binary := dict "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- $units := merge $binary (dict "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18) -}}
{{- mulf (float64 $number) (get $units (trimPrefix $number $text) | default 1.0) -}}
{{- end }}
{{- end }}

{{/*
A digest of the Secrets with these names that exist in the cluster, or nothing. A pod with this digest in an annotation restarts when
a Secret is rotated. The digest includes the uid of each Secret, so a weak password cannot be guessed from it: whoever can read the uid
can read the Secret as well. In: list of the root and the names.
*/}}
{{- define "scout-chat.secretsDigest" -}}
{{- $root := index . 0 -}}
{{- $found := dict -}}
{{- range index . 1 | uniq -}}
{{- $secret := lookup "v1" "Secret" $root.Release.Namespace . -}}
{{- if $secret }}{{ $_ := set $found . (list $secret.metadata.uid $secret.data) }}{{ end -}}
{{- end -}}
{{- if $found }}{{ toJson $found | sha256sum | trunc 16 }}{{ end -}}
{{- end }}

{{/* Whether an engine requests GPUs. In: an item of modelSpec. Out: "true" or nothing. */}}
{{- define "scout-chat.hasGpu" -}}
{{- if or (gt (int (.requestGPU | default 0)) 0) (contains "gpu" (dig "resources" "limits" dict . | toJson)) }}true{{ end -}}
{{- end }}

{{/* global.scheduling.nodeSelector as nodeSelectorTerms. In: the root. Out: a YAML list, or nothing if it is empty. */}}
{{- define "scout-chat.nodeTerms" -}}
{{- $expressions := list -}}
{{- range $key, $value := .Values.global.scheduling.nodeSelector -}}
{{- $expressions = append $expressions (dict "key" $key "operator" "In" "values" (list $value)) -}}
{{- end -}}
{{- if $expressions }}{{ list (dict "matchExpressions" $expressions) | toYaml }}{{ end -}}
{{- end }}

{{/* A map without the keys that are null, which is how users remove a default. In: the map. Out: YAML. */}}
{{- define "scout-chat.withoutNulls" -}}
{{- $kept := dict -}}
{{- range $key, $value := . }}{{ if not (kindIs "invalid" $value) }}{{ $_ := set $kept $key $value }}{{ end }}{{ end -}}
{{ toYaml $kept }}
{{- end }}

{{/* Whether an object exposes a Service outside the cluster. In: the object. Out: "true" or nothing. */}}
{{- define "scout-chat.exposes" -}}
{{- $kinds := list "Ingress" "HTTPRoute" "TLSRoute" "TCPRoute" "IngressRoute" "Route" "VirtualService" -}}
{{- if kindIs "map" . }}{{ if or (has .kind $kinds) (has (dig "spec" "type" "" .) (list "NodePort" "LoadBalancer")) }}true{{ end }}{{ end -}}
{{- end }}

{{/* Whether two names differ by one or two letters, or only in capitals. In: list of both names. Out: "true" or nothing. */}}
{{- define "scout-chat.similarNames" -}}
{{- $variants := list -}}
{{- range . -}}
{{- $word := lower . -}}
{{- $found := list $word -}}
{{- range $i := until (len $word) }}{{ $found = append $found (printf "%s%s" (substr 0 $i $word) (substr (int (add $i 1)) (len $word) $word)) }}{{ end -}}
{{- $variants = append $variants $found -}}
{{- end -}}
{{- $near := false -}}
{{- range index $variants 0 }}{{ if has . (index $variants 1) }}{{ $near = true }}{{ end }}{{ end -}}
{{- if $near }}true{{ end -}}
{{- end }}
