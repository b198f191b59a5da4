{{/* Named templates are global in Helm; every one here begins with the chart's name. */}}

{{/* Labels of the umbrella's own objects. In: the root context and a component, as (list $ "name"). */}}
{{- define "scout-chat.labels" -}}
{{- $root := index . 0 -}}
{{ include "scout-chat.selectorLabels" . }}
app.kubernetes.io/part-of: scout-chat
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The labels that select a component's pods; never a version among them. In: as above. */}}
{{- define "scout-chat.selectorLabels" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The open-webui chart's full name, as that chart makes it. Called with the umbrella's own root. */}}
{{- define "scout-chat.webuiFullname" -}}
{{- $webui := index .Values "open-webui" -}}
{{- $name := $webui.nameOverride | default "open-webui" -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- $webui.fullnameOverride | default $full | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* The Secret that this chart creates for what the user does not bring. */}}
{{- define "scout-chat.webuiSecretName" -}}
{{ .Release.Name }}-webui-secrets
{{- end }}

{{/* The chat's secret variables and where each is kept, yours or the created one. In: the root. Out: a YAML list. */}}
{{- define "scout-chat.chatSecrets" -}}
{{- $created := include "scout-chat.webuiSecretName" . -}}
{{- $chat := .Values.global.chat -}}
{{- $llm := .Values.global.llm -}}
- {variable: WEBUI_SECRET_KEY, at: global.chat.secretKey, name: {{ $chat.secretKey.existingSecret | default $created }}, key: {{ $chat.secretKey.key | quote }}}
- {variable: WEBUI_ADMIN_PASSWORD, at: global.chat.auth.admin, name: {{ include "scout-chat.adminSecret" . }}, key: {{ $chat.auth.admin.passwordKey | quote }}}
- {variable: OPENAI_API_KEY, at: global.llm.apiKey, name: {{ $llm.apiKey.existingSecret | default $created }}, key: {{ $llm.apiKey.key | quote }}}
- {variable: OAUTH_CLIENT_SECRET, at: global.chat.auth.oidc, name: {{ $chat.auth.oidc.existingSecret | default $created }}, key: {{ $chat.auth.oidc.key | quote }}}
{{- end }}

{{/* The Secret with the first administrator's password. In: the root. */}}
{{- define "scout-chat.adminSecret" -}}
{{ .Values.global.chat.auth.admin.existingSecret | default (include "scout-chat.webuiSecretName" .) }}
{{- end }}

{{/* Name of the ConfigMap with the script of weights.prefetch. In: the root. */}}
{{- define "scout-chat.prefetchName" -}}
{{ .Release.Name }}-weights-prefetch
{{- end }}

{{/* Where the chat finds its models, with /v1. Both routers have the same Service name and port. */}}
{{- define "scout-chat.llmUrl" -}}
{{- $llm := .Values.global.llm -}}
{{- if eq $llm.mode "external" -}}
{{ trimSuffix "/" $llm.url }}
{{- else -}}
http://{{ .Release.Name }}-router-service.{{ .Release.Namespace }}.svc/v1
{{- end -}}
{{- end }}

{{/* Name of the ConfigMap that holds the chat's environment. */}}
{{- define "scout-chat.webuiEnvName" -}}
{{ .Release.Name }}-webui-env-{{ include "scout-chat.webuiEnv" . | sha256sum | trunc 10 }}
{{- end }}

{{/* The port of an address. In: the address, as text. */}}
{{- define "scout-chat.urlPort" -}}
{{- $url := urlParse . -}}
{{- if contains ":" $url.host }}{{ splitList ":" $url.host | last }}{{ else }}{{ eq $url.scheme "https" | ternary 443 80 }}{{ end -}}
{{- end }}

{{/*
The egress rule for an address that is named in the values. Outside the cluster: networkPolicy.outsideTo, on the address's port.
Inside (NAME.NAMESPACE.svc): every port of that namespace's pods, for a policy sees the pod's port and the address names the Service's.
In: list of the root and the address. Out: YAML.
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

{{/* The value of an argument, or nothing; the last one counts. In: list of the arguments and the flag. */}}
{{- define "scout-chat.argument" -}}
{{- $flag := index . 1 -}}
{{- $value := "" -}}
{{- $last := "" -}}
{{- range index . 0 -}}
{{- /* A number where text belongs is another rule's to refuse. */ -}}
{{- $argument := toString . -}}
{{- if eq $last $flag }}{{ $value = $argument }}{{ end -}}
{{- if hasPrefix (printf "%s=" $flag) $argument }}{{ $value = trimPrefix (printf "%s=" $flag) $argument }}{{ end -}}
{{- $last = $argument -}}
{{- end -}}
{{- $value -}}
{{- end }}

{{/*
A label of the chat's pods, and a guard. Called inside the open-webui chart: the settings that templates/settings hands on must be
there by then. A Helm that rendered in another order would drop them without a word.
*/}}
{{- define "scout-chat.partOf" -}}
{{- if not .Values.handedOn -}}
{{- fail "this Helm rendered the open-webui chart before this chart's own templates, so global, engine and engines would have no effect. Install with a Helm release that this chart is tested with: 3.22 or 4.3" -}}
{{- end -}}
scout-chat
{{- end }}

{{/* An image's repository under global.imageRegistry, in place of its own registry. In: list of the root and the repository. */}}
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

{{/* Lists of Kubernetes' variables in one, by name: the last value counts, at the place of the first. In: list of lists. Out: YAML. */}}
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

{{/* Whether a tag may mean another image tomorrow. In: the tag. Out: "true" or nothing. */}}
{{- define "scout-chat.movingTag" -}}
{{- if has (toString .) (list "latest" "main" "nightly" "dev" "edge") }}true{{ end -}}
{{- end }}

{{/* Whether a variable holds a secret as plain text. In: Kubernetes' EnvVar. Out: "true" or nothing. */}}
{{- define "scout-chat.secretInSight" -}}
{{- if and .value (or (regexMatch "(_KEY|_KEYS|_TOKEN|PASSWORD|SECRET)$" .name) (regexMatch "://[^/@]*:[^/@]+@" (toString .value))) }}true{{ end -}}
{{- end }}

{{/* What is never sent through the proxy: this machine, the cluster, a host without a dot, and the user's list. In: the root. */}}
{{- define "scout-chat.noProxy" -}}
{{- $hosts := list "localhost" "127.0.0.1" "::1" ".svc" ".cluster.local" -}}
{{- range list .Values.global.llm.url .Values.global.chat.auth.oidc.issuer -}}
{{- $host := regexReplaceAll ":[0-9]+$" (urlParse .).host "" -}}
{{- if and $host (not (contains "." $host)) }}{{ $hosts = append $hosts $host }}{{ end -}}
{{- end -}}
{{ concat $hosts .Values.global.proxy.noProxy | uniq | join "," }}
{{- end }}

{{/* Variables for global.proxy and global.trustedCA, in the names that Python's and Rust's clients read. In: the root. Out: a YAML map. */}}
{{- define "scout-chat.outsideEnv" -}}
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

{{/* The volume with global.trustedCA, as YAML; empty if there is none. In: the root. */}}
{{- define "scout-chat.caVolume" -}}
{{- $ca := .Values.global.trustedCA -}}
{{- $items := list (dict "key" $ca.key "path" "ca.crt") -}}
{{- if $ca.configMap -}}
{{ dict "name" "trusted-ca" "configMap" (dict "name" $ca.configMap "items" $items) | toYaml }}
{{- else if $ca.secret -}}
{{ dict "name" "trusted-ca" "secret" (dict "secretName" $ca.secret "items" $items) | toYaml }}
{{- end -}}
{{- end }}

{{/* Where the CA's volume is mounted, as YAML. */}}
{{- define "scout-chat.caMount" -}}
{{ dict "name" "trusted-ca" "mountPath" "/etc/scout-chat/trusted-ca" "readOnly" true | toYaml }}
{{- end }}

{{/* A Kubernetes quantity of storage in bytes, or 0 for what is none. In: the quantity. */}}
{{- define "scout-chat.bytes" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9]+(\\.[0-9]+)?" $text | default "0" -}}
{{- $units := dict "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 -}}
{{- mulf (float64 $number) (get $units (trimPrefix $number $text) | default 1.0) -}}
{{- end }}

{{/*
A digest over the Secrets of these names that the cluster has, or nothing: pods that carry it restart when one is rotated. The
Secret's uid goes into it, which only who reads the Secret knows: a weak password cannot be found by trying. In: list of the root and names.
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

{{/* Whether an engine asks for GPUs. In: an item of modelSpec. Out: "true" or nothing. */}}
{{- define "scout-chat.hasGpu" -}}
{{- if or (gt (int (.requestGPU | default 0)) 0) (contains "gpu" (dig "resources" "limits" dict . | toJson)) }}true{{ end -}}
{{- end }}

{{/* global.scheduling.nodeSelector as nodeSelectorTerms, in YAML; nothing if it is empty. In: the root. */}}
{{- define "scout-chat.nodeTerms" -}}
{{- $expressions := list -}}
{{- range $key, $value := .Values.global.scheduling.nodeSelector -}}
{{- $expressions = append $expressions (dict "key" $key "operator" "In" "values" (list $value)) -}}
{{- end -}}
{{- if $expressions }}{{ list (dict "matchExpressions" $expressions) | toYaml }}{{ end -}}
{{- end }}

{{/* A map without the keys that an administrator removed with null, as YAML. In: the map. */}}
{{- define "scout-chat.withoutNulls" -}}
{{- $kept := dict -}}
{{- range $key, $value := . }}{{ if not (kindIs "invalid" $value) }}{{ $_ := set $kept $key $value }}{{ end }}{{ end -}}
{{ toYaml $kept }}
{{- end }}

{{/* Whether an object leads into the cluster from outside. In: the object. Out: "true" or nothing. */}}
{{- define "scout-chat.exposes" -}}
{{- $kinds := list "Ingress" "HTTPRoute" "TLSRoute" "TCPRoute" "IngressRoute" "Route" "VirtualService" -}}
{{- if kindIs "map" . }}{{ if or (has .kind $kinds) (has (dig "spec" "type" "" .) (list "NodePort" "LoadBalancer")) }}true{{ end }}{{ end -}}
{{- end }}

{{/* Whether two names differ by one letter or two, or in capitals alone. In: list of the two. Out: "true" or nothing. */}}
{{- define "scout-chat.near" -}}
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
