{{/*
One worker group per hardware profile and number of GPUs in use. Its pods offer one custom resource, by which a replica
finds them and by which Ray's autoscaler knows a group that has no pod. KubeRay takes over no change of a group's limits,
so they are wide and constant; Serve's numbers rule.
*/}}

{{/* As a JSON list of {group, hardware, gpus}. KubeRay takes a group at the end in place, and makes a new cluster for one
in the middle and for one that goes: so groups that the cluster has stay where they are as long as there is their
profile, at the cost of nothing, and new ones come last. */}}
{{- define "penstock.engineGroups" -}}
{{- $wanted := dict -}}
{{- range $name, $model := include "penstock.models" . | fromJson -}}
{{- $hardware := $model.hardware | default "cpu" -}}
{{- $gpus := include "penstock.gpus" (dict "root" $ "model" $model) | int -}}
{{- $group := include "penstock.groupName" (dict "hardware" $hardware "gpus" $gpus) -}}
{{- $_ := set $wanted $group (dict "group" $group "hardware" $hardware "gpus" $gpus) -}}
{{- end -}}
{{- $presets := .Files.Get "files/hardware.yaml" | fromYaml -}}
{{- $order := list -}}
{{- $live := lookup "ray.io/v1" "RayService" .Release.Namespace (include "penstock.fullname" .) -}}
{{- range dig "spec" "rayClusterConfig" "workerGroupSpecs" list ($live | default dict) -}}
{{- $hardware := dig "template" "metadata" "labels" "penstock.dev/hardware" "" . -}}
{{- if or (hasKey $.Values.hardware $hardware) (hasKey $presets $hardware) -}}
{{- $order = append $order .groupName -}}
{{- $_ := set $wanted .groupName (dict "group" .groupName "hardware" $hardware "gpus" (dig "resources" "GPU" "0" . | int)) -}}
{{- end -}}
{{- end -}}
{{- $groups := list -}}
{{- range concat $order (keys $wanted | sortAlpha) | uniq -}}
{{- $groups = append $groups (get $wanted .) -}}
{{- end -}}
{{- toJson $groups -}}
{{- end -}}

{{/* Kubernetes' names are lower case, without dots. */}}
{{- define "penstock.groupName" -}}
{{- $plain := printf "%s%s" .hardware (ternary (printf "-x%v" .gpus) "" (gt (int .gpus) 1)) | lower | replace "." "-" | replace "_" "-" -}}
hw-{{ $plain | trunc 50 | trimSuffix "-" }}
{{- end -}}

{{- define "penstock.engineGroup" -}}
{{- $engine := .root.Values.cluster.engine -}}
{{- $profile := include "penstock.profile" (dict "root" .root "name" .hardware) | fromJson -}}
{{- $gpus := int .gpus -}}
groupName: {{ .group }}
minReplicas: 0
maxReplicas: {{ $engine.maxPods }}
idleTimeoutSeconds: {{ include "penstock.seconds" $engine.idleTimeout | float64 | ceil | int64 }}
rayStartParams:
  object-store-memory: {{ include "penstock.objectStore" . }}
resources:
  CPU: "0"
  {{- with $gpus }}
  GPU: {{ . | quote }}
  {{- end }}
  {{ include "penstock.hardwareResource" . }}: "1"
template:
  {{- include "penstock.podTemplate" (dict
    "root" .root "component" "engine" "pods" $engine
    "image" (include "penstock.engineImage" (dict "root" .root "hardware" .hardware))
    "drain" (include "penstock.drain" .root | int)
    "resources" (include "penstock.engineResources" (dict "engine" $engine "profile" $profile "gpus" $gpus) | fromJson)
    "env" (include "penstock.engineEnv" .root | fromJson)
    "envFrom" (include "penstock.engineEnvFrom" .root | fromJsonArray)
    "volumes" (include "penstock.engineVolumes" .root | fromJson)
    "mounts" (include "penstock.engineMounts" .root | fromJson)
    "ports" (dict "metrics" 8080)
    "startup" (merge (include "penstock.rayletProbe" .root | fromYaml) (dict "failureThreshold" 60))
    "readiness" (merge (include "penstock.rayletProbe" .root | fromYaml) (dict "failureThreshold" 3))
    "liveness" (merge (include "penstock.rayletProbe" .root | fromYaml) (dict "failureThreshold" 24))
    "labels" (dict "penstock.dev/hardware" .hardware)
    "annotations" (merge (include "penstock.stays" .root | fromYaml) (dict "penstock.dev/checksum" (toJson (list $engine.maxPods (list $engine.tolerations ($profile.tolerations | default list))) | sha256sum | trunc 16)))
    "nodeSelector" ($profile.nodeSelector | default dict)
    "tolerations" ($profile.tolerations | default list)
    "serviceAccountName" (include "penstock.serviceAccountName" .root)
  ) | nindent 2 }}
{{- end -}}

{{/* A profile's amounts are those of a pod with one GPU: a replica of two has twice as much of everything. */}}
{{- define "penstock.engineResources" -}}
{{- $requests := deepCopy .engine.resources.requests -}}
{{- $limits := deepCopy .engine.resources.limits -}}
{{- $times := max 1 .gpus -}}
{{- range $name, $amount := .profile.resources | default dict -}}
{{- $number := regexFind "^[0-9.]+" (toString $amount) -}}
{{- $unit := trimPrefix $number (toString $amount) -}}
{{- $whole := ternary $amount (printf "%v%s" (mulf (float64 $number) $times) $unit) (eq $times 1) -}}
{{- $_ := set $requests $name $whole -}}
{{- if ne $name "cpu" }}{{ $_ := set $limits $name $whole }}{{ end -}}
{{- end -}}
{{- dict "requests" $requests "limits" $limits | toJson -}}
{{- end -}}

{{- define "penstock.engineEnv" -}}
{{- $env := dict -}}
{{- with .Values.secrets.hub -}}
{{- if .name }}{{ $_ := set $env "HF_TOKEN" (dict "valueFrom" (dict "secretKeyRef" (dict "name" .name "key" .key))) }}{{ end -}}
{{- end -}}
{{- if .Values.secrets.gcs.name -}}
{{- $_ := set $env "GOOGLE_APPLICATION_CREDENTIALS" (printf "/var/run/secrets/gcs/%s" .Values.secrets.gcs.key) -}}
{{- end -}}
{{- toJson $env -}}
{{- end -}}

{{- define "penstock.engineEnvFrom" -}}
{{- $from := list -}}
{{- with .Values.secrets.s3.name }}{{ $from = append $from (dict "secretRef" (dict "name" .)) }}{{ end -}}
{{- toJson $from -}}
{{- end -}}

{{/* Claims that models are served from: pvc://claim/path. */}}
{{- define "penstock.claims" -}}
{{- $claims := list -}}
{{- range $name, $model := include "penstock.models" . | fromJson -}}
{{- $source := $model.source | default "" -}}
{{- if hasPrefix "pvc://" $source }}{{ $claims = append $claims (regexFind "^[^/]+" (trimPrefix "pvc://" $source)) }}{{ end -}}
{{- end -}}
{{- $claims | uniq | sortAlpha | toJson -}}
{{- end -}}

{{- define "penstock.engineVolumes" -}}
{{- $cache := .Values.modelCache -}}
{{- $volume := dict "emptyDir" (dict "sizeLimit" (toString $cache.size)) -}}
{{- if eq $cache.type "hostPath" -}}
{{- $volume = dict "hostPath" (dict "path" $cache.path "type" "Directory") -}}
{{- else if eq $cache.type "persistentVolumeClaim" -}}
{{- $volume = dict "persistentVolumeClaim" (dict "claimName" (include "penstock.cacheClaim" .)) -}}
{{- end -}}
{{- $shm := dict "emptyDir" (dict "medium" "Memory" "sizeLimit" (toString .Values.cluster.engine.sharedMemory)) -}}
{{- $volumes := dict "weights" $volume "shm" $shm "cache" (dict "emptyDir" dict) -}}
{{- range include "penstock.claims" . | fromJsonArray -}}
{{- $_ := set $volumes (printf "claim-%s" .) (dict "persistentVolumeClaim" (dict "claimName" . "readOnly" true)) -}}
{{- end -}}
{{- with .Values.secrets.gcs.name }}{{ $_ := set $volumes "gcs" (dict "secret" (dict "secretName" .)) }}{{ end -}}
{{- toJson $volumes -}}
{{- end -}}

{{- define "penstock.engineMounts" -}}
{{- $cache := .Values.weights.cache | replace "~/" "/home/penstock/" -}}
{{- /* Folders on the way to a mount are made by root: with weights below it, the home's .cache needs a volume of its own
  to be writable for vLLM's other caches. */ -}}
{{- $own := dict "mountPath" "/home/penstock/.cache" -}}
{{- $mounts := dict "weights" (dict "mountPath" $cache) "shm" (dict "mountPath" "/dev/shm") "cache" $own -}}
{{- $under := .Values.weights.claims | replace "~/" "/home/penstock/" -}}
{{- range include "penstock.claims" . | fromJsonArray -}}
{{- $_ := set $mounts (printf "claim-%s" .) (dict "mountPath" (printf "%s/%s" $under .) "readOnly" true) -}}
{{- end -}}
{{- if .Values.secrets.gcs.name }}{{ $_ := set $mounts "gcs" (dict "mountPath" "/var/run/secrets/gcs" "readOnly" true) }}{{ end -}}
{{- toJson $mounts -}}
{{- end -}}
