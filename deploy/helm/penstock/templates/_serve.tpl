{{/*
Document → Ray Serve's configuration, the same as penstock.assembly.serve_config makes; a test holds the two equal.

What stands under `args` restarts a model's replicas when it changes; numbers under `deployments` change in place. The
`args` are the document's own sections as they are written: Penstock reads their units, so that no option of a model
needs a line here.
*/}}

{{- define "penstock.serveConfig" -}}
proxy_location: HeadOnly
logging_config:
  encoding: {{ ternary "TEXT" "JSON" (eq .Values.logging.format "text") }}
  enable_access_log: false
applications:
  {{- $surging := include "penstock.surging" . | fromJson }}
  {{- range $name, $model := include "penstock.models" . | fromJson }}
  - {{- include "penstock.modelApplication" (dict "root" $ "name" $name "model" $model "surge" (hasKey $surging $name)) | nindent 4 }}
  {{- end }}
  - {{- include "penstock.gatewayApplication" . | nindent 4 }}
{{- end -}}

{{/* Serve's name of a model's application: plain, and unique. */}}
{{- define "penstock.applicationName" -}}
{{- $plain := regexReplaceAll "[^A-Za-z0-9.-]+" . "-" -}}
model-{{ $plain }}{{ if ne $plain . }}-{{ sha256sum . | trunc 8 }}{{ end }}
{{- end -}}

{{/* The numbers of a model: a plain number means exactly that many. Takes the model. */}}
{{- define "penstock.replicas" -}}
{{- $given := dict -}}
{{- if kindIs "map" .replicas -}}
{{- $given = .replicas -}}
{{- else if not (kindIs "invalid" .replicas) -}}
{{- $given = dict "min" (int .replicas) "max" (max 1 (int .replicas)) -}}
{{- end -}}
{{- /* Not merge, which takes 0 for nothing. */ -}}
{{- $numbers := dict "min" 1 "max" 1 "target" 16 "limit" 1024 "upscaleDelay" 10 "downscaleDelay" 300 "downscaleToZeroDelay" 600 "kvThreshold" 0.9 -}}
{{- range $key, $value := $given }}{{ $_ := set $numbers $key $value }}{{ end -}}
{{- toJson $numbers -}}
{{- end -}}

{{/* What a rollout starts beside so many replicas: a quarter, rounded up, as Serve reckons it from the percentage. */}}
{{- define "penstock.surgePercent" -}}
25
{{- end -}}
{{- define "penstock.surgePods" -}}
{{- div (add (mul (int .) (include "penstock.surgePercent" . | int)) 99) 100 -}}
{{- end -}}

{{/* The models whose rollouts start new replicas first, as a JSON map. Serve would wait for ever for a place that there is
not, so there must be one by the numbers, also when all models of a profile roll out at once. */}}
{{- define "penstock.surging" -}}
{{- $models := include "penstock.models" . | fromJson -}}
{{- $wanted := dict -}}
{{- range $name, $model := $models -}}
{{- $resource := include "penstock.resourceOf" (dict "root" $ "model" $model) -}}
{{- $most := int (include "penstock.replicas" $model | fromJson).max -}}
{{- $_ := set $wanted $resource (add $most (include "penstock.surgePods" $most) (get $wanted $resource | default 0)) -}}
{{- end -}}
{{- $surging := dict -}}
{{- range $name, $model := $models -}}
{{- $said := dig "rollout" "surge" "auto" $model -}}
{{- $room := le (get $wanted (include "penstock.resourceOf" (dict "root" $ "model" $model)) | int) (int $.Values.cluster.engine.maxPods) -}}
{{- if or (eq $said "always") (and (eq $said "auto") $room) }}{{ $_ := set $surging $name true }}{{ end -}}
{{- end -}}
{{- toJson $surging -}}
{{- end -}}

{{/* Custom resource of a model's replicas. Takes (dict "root" $ "model" model). */}}
{{- define "penstock.resourceOf" -}}
{{- include "penstock.hardwareResource" (dict "hardware" (.model.hardware | default "cpu") "gpus" (include "penstock.gpus" . | int)) -}}
{{- end -}}

{{- define "penstock.modelApplication" -}}
{{- $root := .root -}}
{{- $replicas := include "penstock.replicas" .model | fromJson -}}
{{- $min := int $replicas.min -}}
{{- $max := int $replicas.max -}}
{{- $gpus := include "penstock.gpus" . | int -}}
name: {{ include "penstock.applicationName" .name | quote }}
route_prefix: null
import_path: penstock.engine.deployment:application
args:
  name: {{ .name | quote }}
  model:
    {{- omit .model "replicas" "rollout" "cache" "fallback" | toYaml | nindent 4 }}
  {{- with $gpus }}
  gpus: {{ . }}
  {{- end }}
  weights:
    {{- $root.Values.weights | toYaml | nindent 4 }}
  logging:
    {{- $root.Values.logging | toYaml | nindent 4 }}
deployments:
  - name: engine
    num_replicas: auto
    autoscaling_config:
      min_replicas: {{ $min }}
      max_replicas: {{ $max }}
      target_ongoing_requests: {{ int64 $replicas.target }}
      upscale_delay_s: {{ include "penstock.seconds" $replicas.upscaleDelay }}
      downscale_delay_s: {{ include "penstock.seconds" $replicas.downscaleDelay }}
      downscale_to_zero_delay_s: {{ include "penstock.seconds" $replicas.downscaleToZeroDelay }}
      upscaling_factor: {{ $replicas.kvThreshold }}
      metrics_interval_s: 1
      look_back_period_s: 2
      policy:
        policy_function: penstock.scaling.entry:ModelScaling
        policy_kwargs:
          model: {{ .name | quote }}
    max_surge_percent: {{ ternary (include "penstock.surgePercent" . | int) 0 .surge }}
    max_ongoing_requests: {{ int64 $replicas.limit }}
    graceful_shutdown_timeout_s: {{ include "penstock.drain" $root }}
    health_check_period_s: 1
    health_check_timeout_s: 30
    user_config:
      longest_request: {{ include "penstock.longest" $root }}
    ray_actor_options:
      num_cpus: 0
      num_gpus: {{ $gpus }}
      resources:
        {{ include "penstock.resourceOf" . }}: 1
{{- end -}}

{{- define "penstock.gatewayApplication" -}}
name: gateway
route_prefix: null
import_path: penstock.gateway.deployment:application
args:
  gateway:
    host: 0.0.0.0
    {{- omit .Values.gateway "host" "replicas" | toYaml | nindent 4 }}
  {{- with include "penstock.accounts" . | fromJson }}
  accounts:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  logging:
    {{- .Values.logging | toYaml | nindent 4 }}
deployments:
  - name: gateway
    num_replicas: {{ .Values.gateway.replicas }}
    max_surge_percent: {{ include "penstock.surgePercent" . }}
    graceful_shutdown_timeout_s: {{ include "penstock.gatewayDrain" . }}
    health_check_period_s: 1
    health_check_timeout_s: 30
    user_config:
      service: http://{{ include "penstock.fullname" . }}:{{ .Values.service.port }}
      models:
        {{- range $name, $model := include "penstock.models" . | fromJson }}
        {{ $name | quote }}:
          application: {{ include "penstock.applicationName" $name | quote }}
          aliases: {{ $model.aliases | default list | toJson }}
          {{- if hasPrefix "hf://" ($model.source | default "") }}
          repository: {{ $model.source | trimPrefix "hf://" | splitList "@" | first | quote }}
          {{- end }}
          {{- with $model.fallback }}
          fallback: {{ toJson . }}
          {{- end }}
          {{- if not (kindIs "invalid" $model.cache) }}
          cache: {{ toJson $model.cache }}
          {{- end }}
        {{- else }} {}
        {{- end }}
      {{- with include "penstock.providers" . | fromJson }}
      providers:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.accounts.keys }}
      keys:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    ray_actor_options:
      num_cpus: 0
      num_gpus: 0
      resources:
        penstock-gateway: 1
{{- end -}}
