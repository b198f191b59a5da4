{{/*
The environment of Open WebUI 0.12. In: the root. Out: a YAML map of strings; its hash is part of the ConfigMap's name.
Features that send data outside the institution are off. An administrator cannot turn them on permanently in the browser, because
ENABLE_PERSISTENT_CONFIG makes the environment the only source of configuration.
*/}}
{{- define "scout-chat.webuiEnv" -}}
{{- $llm := .Values.global.llm -}}
{{- $chat := .Values.global.chat -}}
{{- $env := dict
  "ENV" "prod"
  "ENABLE_PERSISTENT_CONFIG" "False"
  "ENABLE_SIGNUP" (ternary "True" "False" $chat.auth.signup)
  "DEFAULT_USER_ROLE" "pending"
  "JWT_EXPIRES_IN" $chat.auth.sessionDuration
  "CORS_ALLOW_ORIGIN" "http://localhost:8080;http://127.0.0.1:8080"
  "WEBUI_ADMIN_EMAIL" $chat.auth.admin.email
  "WEBUI_ADMIN_NAME" $chat.auth.admin.name
  "BYPASS_MODEL_ACCESS_CONTROL" (ternary "True" "False" (eq $chat.modelAccess "all-users"))
  "ENABLE_TITLE_GENERATION" (ternary "True" "False" $chat.tasks.title)
  "ENABLE_TAGS_GENERATION" (ternary "True" "False" $chat.tasks.tags)
  "ENABLE_FOLLOW_UP_GENERATION" (ternary "True" "False" $chat.tasks.followUps)
-}}
{{- with $chat.url }}
{{- $_ := set $env "WEBUI_URL" (trimSuffix "/" .) }}
{{- $_ := set $env "CORS_ALLOW_ORIGIN" (trimSuffix "/" .) }}
{{- end }}
{{- with $chat.name }}
{{- $_ := set $env "WEBUI_NAME" . }}
{{- end }}

{{- /* Sign-in. With an identity provider, passwords are off in the form and at the API. breakGlass turns them on in both. */ -}}
{{- $oidc := $chat.auth.oidc -}}
{{- $passwords := or (not $oidc.issuer) $chat.auth.breakGlass | ternary "True" "False" -}}
{{- $_ := set $env "ENABLE_LOGIN_FORM" $passwords }}
{{- $_ := set $env "ENABLE_PASSWORD_AUTH" $passwords }}
{{- if $oidc.issuer }}
{{- $_ := merge $env (dict
  "OPENID_PROVIDER_URL" (printf "%s/.well-known/openid-configuration" $oidc.issuer)
  "OPENID_REDIRECT_URI" (printf "%s/oauth/oidc/callback" (trimSuffix "/" $chat.url))
  "OAUTH_CLIENT_ID" $oidc.clientId
  "OAUTH_PROVIDER_NAME" $oidc.providerName
  "OAUTH_SCOPES" $oidc.scopes
  "OAUTH_CODE_CHALLENGE_METHOD" "S256"
  "OAUTH_MERGE_ACCOUNTS_BY_EMAIL" (ternary "True" "False" $oidc.mergeAccountsByEmail)
  "ENABLE_OAUTH_SIGNUP" "True"
  "ENABLE_OAUTH_PERSISTENT_CONFIG" "False"
  "ENABLE_PASSWORD_CHANGE_FORM" "False"
) }}
{{- /* DEFAULT_USER_ROLE applies to an account whose claim is missing or empty, because Open WebUI checks roles only if the claim has some.
If roles.allowed is set, such an account waits for an administrator. If not, every account may use the chat. */ -}}
{{- $_ := set $env "DEFAULT_USER_ROLE" (empty $oidc.roles.allowed | ternary "user" "pending") }}
{{- if or $oidc.roles.allowed $oidc.roles.admin }}
{{- $_ := merge $env (dict
  "ENABLE_OAUTH_ROLE_MANAGEMENT" "True"
  "OAUTH_ROLES_CLAIM" $oidc.roles.claim
  "OAUTH_ALLOWED_ROLES" (empty $oidc.roles.allowed | ternary (list "*") (concat $oidc.roles.allowed $oidc.roles.admin) | uniq | join ",")
  "OAUTH_ADMIN_ROLES" (join "," $oidc.roles.admin)
) }}
{{- end }}
{{- end }}
{{- if hasPrefix "https://" $chat.url }}
{{- $_ := set $env "WEBUI_SESSION_COOKIE_SECURE" "True" }}
{{- $_ := set $env "WEBUI_AUTH_COOKIE_SECURE" "True" }}
{{- end }}

{{- /* The model. Open WebUI reads TASK_MODEL for local connections, and TASK_MODEL_EXTERNAL for others such as the engine. */ -}}
{{- $connection := dict "enable" true -}}
{{- if $llm.affinity.enabled }}
{{- /* CHAT_ID is empty outside of a chat. USER_ID keeps the header from being empty: routers send all empty headers to one engine. */ -}}
{{- $_ := set $connection "headers" (dict $llm.affinity.header "{{CHAT_ID}}/{{USER_ID}}") }}
{{- end }}
{{- $_ := merge $env (dict
  "ENABLE_OPENAI_API" "True"
  "OPENAI_API_BASE_URLS" (include "scout-chat.llmUrl" .)
  "OPENAI_API_CONFIGS" (dict "0" $connection | toJson)
  "DEFAULT_MODELS" $llm.model
  "TASK_MODEL_EXTERNAL" $llm.model
  "OLLAMA_BASE_URL" "http://127.0.0.1:9"
  "DEFAULT_MODEL_METADATA" (dict "capabilities" (dict
    "vision" $llm.capabilities.vision
    "builtin_tools" false
    "web_search" false
    "image_generation" false
    "code_interpreter" false) | toJson)
  "DEFAULT_MODEL_PARAMS" (merge (dict "function_calling" ($llm.capabilities.tools | ternary "native" "legacy")) $llm.parameters | toJson)
  "ENABLE_EVALUATION_ARENA_MODELS" "False"
) }}

{{- /* No data leaves. Unused endpoints point to the discard port of the pod itself, because their default is api.openai.com. */ -}}
{{- $_ := merge $env (dict
  "OFFLINE_MODE" "True"
  "SCARF_NO_ANALYTICS" "true"
  "DO_NOT_TRACK" "true"
  "ANONYMIZED_TELEMETRY" "false"
  "RAG_EMBEDDING_ENGINE" "openai"
  "RAG_OPENAI_API_BASE_URL" "http://127.0.0.1:9"
  "BYPASS_EMBEDDING_AND_RETRIEVAL" "True"
  "IMAGES_OPENAI_API_BASE_URL" "http://127.0.0.1:9"
  "AUDIO_STT_OPENAI_API_BASE_URL" "http://127.0.0.1:9"
  "AUDIO_TTS_OPENAI_API_BASE_URL" "http://127.0.0.1:9"
  "ENABLE_COMMUNITY_SHARING" "False"
  "ENABLE_WEB_SEARCH" "False"
  "ENABLE_IMAGE_GENERATION" "False"
  "ENABLE_CODE_EXECUTION" "False"
  "ENABLE_CODE_INTERPRETER" "False"
  "ENABLE_DIRECT_CONNECTIONS" "False"
  "ENABLE_OPENAI_API_PASSTHROUGH" "False"
  "ENABLE_API_KEYS" "False"
  "ENABLE_USER_WEBHOOKS" "False"
  "ENABLE_ADMIN_EXPORT" "False"
  "ENABLE_ADMIN_CHAT_ACCESS" "False"
  "ENABLE_ADMIN_ANALYTICS" "False"
  "ENABLE_GOOGLE_DRIVE_INTEGRATION" "False"
  "ENABLE_ONEDRIVE_INTEGRATION" "False"
  "ENABLE_PROFILE_IMAGE_URL_FORWARDING" "False"
  "ENABLE_PIP_INSTALL_FRONTMATTER_REQUIREMENTS" "False"
  "ENABLE_VERSION_UPDATE_CHECK" "False"
) }}
{{- $_ := merge $env (include "scout-chat.proxyAndCaEnv" . | fromYaml) }}
{{- /* toYaml sorts the keys, so the hash of the text is stable. */ -}}
{{ toYaml $env }}
{{- end }}
