{{/*
Keys: what gateways are told of them, and what their pods get for it. Who uses what:

  penstock.makesKeys        not empty where the chart makes the first keys
  penstock.firstKeys        name of the Secret with them
  penstock.accounts         what gateways are told, the same as penstock.assembly.serve_config makes. As JSON; limits
                            alone where nobody is asked for a key and none is known
  penstock.providers        what gateways are told of other addresses
  penstock.asksForKeys      not empty where nobody gets in without a key
  penstock.accountVolumes, .accountMounts   of gateway pods, as JSON
  penstock.gatewayEgress    what gateways reach outside the cluster's own pods, as a JSON list of rules

A Secret's files stand under fixed names, whatever its keys are called. Nothing random stands here: texts of Secrets are
other texts at each rendering, and would restart gateways or make a new Ray cluster.
*/}}

{{- define "penstock.firstKeys" -}}
{{ include "penstock.fullname" . }}-keys
{{- end -}}

{{/* Where keys come from besides the Secret of the chart; not empty where there is anything. */}}
{{- define "penstock.otherKeys" -}}
{{- $accounts := .Values.accounts -}}
{{- if or $accounts.keys $accounts.keysFile (kindIs "map" $accounts.database) $accounts.oidc .Values.secrets.keys.name .Values.secrets.database.name -}}
true
{{- end -}}
{{- end -}}

{{- define "penstock.isOpen" -}}
{{- if and (kindIs "bool" .Values.accounts.anonymous) .Values.accounts.anonymous }}true{{ end -}}
{{- end -}}

{{- define "penstock.makesKeys" -}}
{{- $listed := or .Values.secrets.keys.name .Values.accounts.keysFile -}}
{{- $wanted := or (not (include "penstock.isOpen" .)) (include "penstock.otherKeys" .) -}}
{{- if and .Values.firstKeys.create (not $listed) $wanted }}true{{ end -}}
{{- end -}}

{{/* As JSON: file → the Secret and the key in it. */}}
{{- define "penstock.accountSecrets" -}}
{{- $secrets := dict -}}
{{- if .Values.secrets.keys.name -}}
{{- $_ := set $secrets "keys" .Values.secrets.keys -}}
{{- else if include "penstock.makesKeys" . -}}
{{- $_ := set $secrets "keys" (dict "name" (include "penstock.firstKeys" .) "key" "keys.yaml") -}}
{{- end -}}
{{- range $file := list "database" "redis" -}}
{{- $secret := get $.Values.secrets $file -}}
{{- if $secret.name }}{{ $_ := set $secrets $file $secret }}{{ end -}}
{{- end -}}
{{- range $provider, $secret := .Values.secrets.providers -}}
{{- if $secret.name }}{{ $_ := set $secrets (printf "provider-%s" $provider) (dict "name" $secret.name "key" ($secret.key | default "key")) }}{{ end -}}
{{- end -}}
{{- toJson $secrets -}}
{{- end -}}

{{/* A folder each, so that a Secret that changes reaches its file. Takes the name of a volume without its beginning. */}}
{{- define "penstock.accountFile" -}}
/etc/penstock/{{ . }}/{{ if eq . "keys" }}keys.yaml{{ else }}{{ ternary "key" "address" (hasPrefix "provider-" .) }}{{ end }}
{{- end -}}

{{- define "penstock.accountVolumes" -}}
{{- $volumes := dict -}}
{{- range $file, $secret := include "penstock.accountSecrets" . | fromJson -}}
{{- $items := list (dict "key" $secret.key "path" (include "penstock.accountFile" $file | base)) -}}
{{- $_ := set $volumes (printf "accounts-%s" $file) (dict "secret" (dict "secretName" $secret.name "items" $items)) -}}
{{- end -}}
{{- toJson $volumes -}}
{{- end -}}

{{- define "penstock.accountMounts" -}}
{{- $mounts := dict -}}
{{- range $file, $secret := include "penstock.accountSecrets" . | fromJson -}}
{{- $folder := include "penstock.accountFile" $file | dir -}}
{{- $_ := set $mounts (printf "accounts-%s" $file) (dict "mountPath" $folder "readOnly" true) -}}
{{- end -}}
{{- toJson $mounts -}}
{{- end -}}

{{- define "penstock.accounts" -}}
{{- $told := omit .Values.accounts "keys" -}}
{{- $secrets := include "penstock.accountSecrets" . | fromJson -}}
{{- if $secrets.keys }}{{ $_ := set $told "keysFile" (include "penstock.accountFile" "keys") }}{{ end -}}
{{- if $secrets.database }}{{ $_ := set $told "database" (dict "file" (include "penstock.accountFile" "database")) }}{{ end -}}
{{- if $secrets.redis -}}
{{- $redis := dict "redis" (dict "file" (include "penstock.accountFile" "redis")) -}}
{{- $_ := set $told "limits" (include "penstock.overlay" (list .Values.accounts.limits $redis) | fromJson) -}}
{{- end -}}
{{- $knows := or .Values.accounts.keys $told.keysFile (kindIs "map" $told.database) $told.oidc -}}
{{- $asks := ternary (not .Values.accounts.anonymous) (not (not $knows)) (kindIs "bool" .Values.accounts.anonymous) -}}
{{- $_ := set $told "anonymous" (not $asks) -}}
{{- if or $asks $knows }}{{ toJson $told }}{{ else }}{{ dict "limits" $told.limits | toJson }}{{ end -}}
{{- end -}}

{{/* What gateways are told of providers, as JSON: the document's, with the files of the Secrets that are named. */}}
{{- define "penstock.providers" -}}
{{- $told := dict -}}
{{- range $name, $provider := .Values.providers -}}
{{- $secret := get $.Values.secrets.providers $name | default dict -}}
{{- $key := dict -}}
{{- if $secret.name }}{{ $_ := set $key "key" (dict "file" (include "penstock.accountFile" (printf "provider-%s" $name))) }}{{ end -}}
{{- $_ := set $told $name (include "penstock.overlay" (list ($provider | default dict) $key) | fromJson) -}}
{{- end -}}
{{- toJson $told -}}
{{- end -}}

{{- define "penstock.asksForKeys" -}}
{{- with include "penstock.accounts" . | fromJson }}{{ if and (hasKey . "anonymous") (not .anonymous) }}yes{{ end }}{{ end -}}
{{- end -}}

{{- define "penstock.gatewayEgress" -}}
{{- $ports := list -}}
{{- if or .Values.secrets.database.name (kindIs "map" .Values.accounts.database) }}{{ $ports = append $ports 5432 }}{{ end -}}
{{- if or .Values.secrets.redis.name .Values.accounts.limits.redis .Values.gateway.cache.redis }}{{ $ports = append $ports 6379 }}{{ end -}}
{{- range list "issuer" "jwks" -}}
{{- with get ($.Values.accounts.oidc | default dict) . -}}
{{- $port := regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" | default (ternary "80" "443" (hasPrefix "http:" .)) -}}
{{- $ports = append $ports (int $port) -}}
{{- end -}}
{{- end -}}
{{- range $provider := .Values.providers -}}
{{- $url := ($provider | default dict).baseUrl | default "https://preset" -}}
{{- $port := regexFind ":[0-9]+$" (urlParse $url).host | trimPrefix ":" | default (ternary "80" "443" (hasPrefix "http:" $url)) -}}
{{- $ports = append $ports (int $port) -}}
{{- end -}}
{{- $rules := list -}}
{{- range $ports | uniq -}}
{{- $rules = append $rules (dict "ports" (list (dict "port" . "protocol" "TCP"))) -}}
{{- end -}}
{{- .Values.networkPolicy.egress.gateway | default $rules | toJson -}}
{{- end -}}
