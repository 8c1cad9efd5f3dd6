{{/* No replica runs on the head: it offers no processor and none of our resources. So Ray has nothing to wait for when it
stops; it would wait for Serve's controller, which never ends. But where all pods go at once, the head goes last: without
it Ray ends the others within a minute, and with them what they still answer.

Containers of the head share their processes because Ray's autoscaler, which KubeRay adds, leaves signals to their
defaults: as the first process of a container of its own it would not be ended by them, and the pod would stay until the
autoscaler misses Ray, a minute later. */}}
{{- define "penstock.headGroup" -}}
{{- $head := .Values.cluster.head -}}
rayStartParams:
  num-cpus: "0"
  num-gpus: "0"
  dashboard-host: 0.0.0.0
  object-store-memory: {{ include "penstock.objectStore" . }}
template:
  {{- include "penstock.podTemplate" (dict
    "root" . "component" "head" "pods" $head
    "image" (include "penstock.gatewayImage" .)
    "resources" $head.resources
    "drain" 5
    "grace" (add (include "penstock.gatewayDrain" . | int) 60)
    "preStop" (list "python" "-m" "penstock.assembly.outlive" (include "penstock.gatewayDrain" .))
    "ports" (dict "gcs" 6379 "dashboard" 8265 "client" 10001 "serve" 8000 "metrics" 8080 "as-metrics" 44217 "dash-metrics" 44227)
    "startup" (merge (include "penstock.headProbe" . | fromYaml) (dict "failureThreshold" 60))
    "readiness" (merge (include "penstock.headProbe" . | fromYaml) (dict "failureThreshold" 3))
    "liveness" (include "penstock.headLiveness" . | fromYaml)
    "annotations" (merge (include "penstock.stays" . | fromYaml) (dict "penstock.dev/checksum" (toJson $head.tolerations | sha256sum | trunc 16)))
    "serviceAccountName" $head.serviceAccountName
    "token" true
    "shareProcessNamespace" true
  ) | nindent 2 }}
{{- end -}}

{{/* Bytes of Ray's object store, which nothing uses: tokens go from engine to gateway directly. */}}
{{- define "penstock.objectStore" -}}
"134217728"
{{- end -}}

{{- define "penstock.headProbe" -}}
httpGet: {path: /api/gcs_healthz, port: 8265}
periodSeconds: 5
timeoutSeconds: 5
{{- end -}}

{{/* With Ray's state in Redis a restart costs no request, and mends a head whose Serve controller did not come back. Without,
it would be the end of the whole cluster, so it is the last resort for a Ray that is dead itself. */}}
{{- define "penstock.headLiveness" -}}
{{- if .Values.cluster.redis.address -}}
exec: {command: [python, -m, penstock.assembly.head_health]}
periodSeconds: 20
timeoutSeconds: 20
failureThreshold: 6
{{- else -}}
{{- include "penstock.rayletProbe" . }}
failureThreshold: 24
{{- end -}}
{{- end -}}

{{/* Nodes are not emptied of pods whose loss costs requests. Beside these, pods carry a checksum of what KubeRay would not
look at when it changes: tolerations, and the limits of a group. */}}
{{- define "penstock.stays" -}}
cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
karpenter.sh/do-not-disrupt: "true"
{{- end -}}
