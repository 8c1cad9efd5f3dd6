{{/*
Names, labels and small conversions. Who uses what:

  penstock.name, .fullname          names of objects
  penstock.labels, .selectorLabels  take (dict "root" $ "component" "gateway"); the component is the folder's name
  penstock.annotations              takes (dict "root" $ "more" map)
  penstock.overlay                  takes a list of maps; a key of a later one replaces the whole value. As JSON
  penstock.seconds                  "10m" → 600
  penstock.promDuration             "1.5s" or 1.5 → "1500ms", as Prometheus reads durations
  penstock.amount                   a quantity of Kubernetes as a number: "2Gi" → 2147483648, "500m" → 0.5
  penstock.models                   the document's models and the catalog's that are switched on, as JSON
  penstock.profile                  a hardware profile by name, the document's or a preset, as JSON
  penstock.drain, .gatewayDrain     seconds that replicas may take to stop; their pods get half a minute more

A helper that gives more than a text gives JSON: callers read it with fromJson.
*/}}

{{- define "penstock.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters: KubeRay allows a RayService 47, and the longest object name adds 17 of 63. */}}
{{- define "penstock.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "penstock.selectorLabels" -}}
app.kubernetes.io/name: {{ include "penstock.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "penstock.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_")
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/part-of" "penstock"
  "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- include "penstock.overlay" (list $own .root.Values.commonLabels (include "penstock.selectorLabels" . | fromYaml)) | fromJson | toYaml -}}
{{- end -}}

{{/* Not sprig's merge: that mixes two values of one key, which makes a volume of two kinds, and takes "" and 0 for nothing. */}}
{{- define "penstock.overlay" -}}
{{- $laid := dict -}}
{{- range . }}{{ range $key, $value := . }}{{ $_ := set $laid $key $value }}{{ end }}{{ end -}}
{{- toJson $laid -}}
{{- end -}}

{{- define "penstock.annotations" -}}
{{- with include "penstock.overlay" (list .root.Values.commonAnnotations .more) | fromJson }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* As penstock.config.units reads durations: a number of seconds, or parts with units. */}}
{{- define "penstock.seconds" -}}
{{- $total := 0.0 -}}
{{- $text := toString . -}}
{{- if regexMatch "^[0-9.]+$" $text -}}
{{- $total = float64 $text -}}
{{- else -}}
{{- range regexFindAll "[0-9.]+ *(ms|s|m|h|d)" $text -1 -}}
{{- $number := float64 (regexFind "[0-9.]+" .) -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $total = addf $total (mulf $number (get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0) $unit)) -}}
{{- end -}}
{{- end -}}
{{- /* As JSON: large numbers would be printed with an exponent. */ -}}
{{- toJson $total -}}
{{- end -}}

{{- define "penstock.promDuration" -}}
{{- round (mulf (include "penstock.seconds" . | float64) 1000) 0 | int64 }}ms
{{- end -}}

{{- define "penstock.amount" -}}
{{- $number := regexFind "^[0-9.]+([eE][+-]?[0-9]+)?" (toString .) -}}
{{- $unit := trimPrefix $number (toString .) -}}
{{- $units := dict "" 1.0 "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 -}}
{{- range $power, $name := list "Ki" "Mi" "Gi" "Ti" "Pi" "Ei" -}}
{{- $size := 1.0 -}}
{{- range until (add1 $power | int) }}{{ $size = mulf $size 1024 }}{{ end -}}
{{- $_ := set $units $name $size -}}
{{- end -}}
{{- mulf (float64 $number) (get $units $unit | default 1.0) | toJson -}}
{{- end -}}

{{- define "penstock.longest" -}}
{{- include "penstock.seconds" .Values.gateway.longestRequest -}}
{{- end -}}

{{/* The longest request, and half a minute for all else. */}}
{{- define "penstock.drain" -}}
{{- addf (include "penstock.longest" . | float64) 30 | ceil | int64 -}}
{{- end -}}

{{/* A gateway takes new requests for a while after it was told to stop. */}}
{{- define "penstock.gatewayDrain" -}}
{{- addf (include "penstock.longest" . | float64) (include "penstock.seconds" .Values.gateway.drainDelay | float64) 30 | ceil | int64 -}}
{{- end -}}

{{- define "penstock.models" -}}
{{- $models := dict -}}
{{- $catalog := .Files.Get "files/catalog.yaml" | fromYaml -}}
{{- range $name, $on := .Values.catalog -}}
{{- if and $on (hasKey $catalog $name) -}}
{{- $_ := set $models $name (get $catalog $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $model := .Values.models -}}
{{- $_ := set $models $name $model -}}
{{- end -}}
{{- toJson $models -}}
{{- end -}}

{{/* Takes (dict "root" $ "name" "nvidia-l4"). */}}
{{- define "penstock.profile" -}}
{{- $presets := .root.Files.Get "files/hardware.yaml" | fromYaml -}}
{{- get .root.Values.hardware .name | default (get $presets .name) | default dict | toJson -}}
{{- end -}}

{{/* GPUs of a profile's pod as it stands: the amount of whichever GPU resource it names. */}}
{{- define "penstock.profileGpus" -}}
{{- $count := 0 -}}
{{- range $name := list "nvidia.com/gpu" "amd.com/gpu" "gpu.intel.com/i915" "gpu.intel.com/xe" -}}
{{- with get ($.resources | default dict) $name -}}
{{- $count = max $count (int64 .) -}}
{{- end -}}
{{- end -}}
{{- $count -}}
{{- end -}}

{{/* GPUs of one replica. Takes (dict "root" $ "model" model). */}}
{{- define "penstock.gpus" -}}
{{- if kindIs "invalid" .model.gpus -}}
{{- $profile := include "penstock.profile" (dict "root" .root "name" (.model.hardware | default "cpu")) | fromJson -}}
{{- ternary 1 0 (gt (include "penstock.profileGpus" $profile | int) 0) -}}
{{- else -}}
{{- int64 .model.gpus -}}
{{- end -}}
{{- end -}}

{{/* Custom resource of the nodes for one replica. Takes (dict "hardware" "nvidia-l4" "gpus" 2). */}}
{{- define "penstock.hardwareResource" -}}
penstock-hardware-{{ .hardware }}{{ if gt (int .gpus) 1 }}-x{{ .gpus }}{{ end }}
{{- end -}}

{{- define "penstock.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "penstock.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Of gateways, and of whatever else needs no weights: an identity of the cloud is the engines' alone. */}}
{{- define "penstock.gatewayAccountName" -}}
{{- $made := ternary (printf "%s-gateway" (include "penstock.fullname" .)) "default" .Values.serviceAccount.create -}}
{{- default $made .Values.cluster.gateway.serviceAccountName -}}
{{- end -}}

{{- define "penstock.cacheClaim" -}}
{{- default (printf "%s-weights" (include "penstock.fullname" .)) .Values.modelCache.existingClaim -}}
{{- end -}}

{{/* Takes (dict "root" $ "image" .Values.image.gateway "tag" "..."). */}}
{{- define "penstock.image" -}}
{{- $name := .image.repository -}}
{{- with .root.Values.image.registry }}{{ $name = printf "%s/%s" (trimSuffix "/" .) $name }}{{ end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name .tag -}}
{{- end -}}
{{- end -}}

{{- define "penstock.gatewayImage" -}}
{{- $image := .Values.image.gateway -}}
{{- include "penstock.image" (dict "root" . "image" $image "tag" (default .Chart.AppVersion $image.tag)) -}}
{{- end -}}

{{/* Takes (dict "root" $ "hardware" "nvidia-l4"). */}}
{{- define "penstock.engineImage" -}}
{{- $image := .root.Values.image.engine -}}
{{- $profile := include "penstock.profile" (dict "root" .root "name" .hardware) | fromJson -}}
{{- $variant := ternary "cuda" "cpu" (hasKey ($profile.resources | default dict) "nvidia.com/gpu") -}}
{{- $tag := get $image.tags .hardware | default $image.tag | default (printf "%s-%s" .root.Chart.AppVersion $variant) -}}
{{- include "penstock.image" (dict "root" .root "image" $image "tag" $tag) -}}
{{- end -}}
