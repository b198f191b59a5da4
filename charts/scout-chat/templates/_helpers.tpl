{{/*
Named templates are global in Helm: those that the open-webui subchart calls (through its extraEnvFrom and commonEnvVars) see
the subchart's values, so they may use .Release and .Values.global alone.
*/}}

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

{{/* The Secret with the key that signs sessions. */}}
{{- define "scout-chat.secretKeySecret" -}}
{{ .Values.global.chat.secretKey.existingSecret | default (include "scout-chat.webuiSecretName" .) }}
{{- end }}

{{/* The Secret with the first administrator's password. */}}
{{- define "scout-chat.adminSecret" -}}
{{ .Values.global.chat.auth.admin.existingSecret | default (include "scout-chat.webuiSecretName" .) }}
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
