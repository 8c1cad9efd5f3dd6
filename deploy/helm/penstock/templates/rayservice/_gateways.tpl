{{/* One gateway replica per pod, by a custom resource; Serve's number of gateways makes Ray's autoscaler make pods. */}}
{{- define "penstock.gatewayGroup" -}}
{{- $gateway := .Values.cluster.gateway -}}
groupName: gateway
minReplicas: 1
maxReplicas: {{ $gateway.maxPods }}
rayStartParams:
  object-store-memory: {{ include "penstock.objectStore" . }}
resources:
  CPU: "0"
  penstock-gateway: "1"
template:
  {{- include "penstock.podTemplate" (dict
    "root" . "component" "gateway" "pods" $gateway
    "image" (include "penstock.gatewayImage" .)
    "resources" $gateway.resources
    "drain" (include "penstock.gatewayDrain" . | int)
    "preStop" (list "touch" (include "penstock.leavingFile" .))
    "env" (dict "PENSTOCK_LEAVING_FILE" (include "penstock.leavingFile" .))
    "volumes" (include "penstock.accountVolumes" . | fromJson)
    "mounts" (include "penstock.accountMounts" . | fromJson)
    "ports" (dict "http" .Values.gateway.port "metrics" 8080)
    "startup" (merge (include "penstock.rayletProbe" . | fromYaml) (dict "failureThreshold" 60))
    "readiness" (dict "httpGet" (dict "path" "/readyz" "port" "http") "periodSeconds" 2 "timeoutSeconds" 2 "failureThreshold" 2)
    "liveness" (merge (include "penstock.rayletProbe" . | fromYaml) (dict "failureThreshold" 24))
    "annotations" (merge (include "penstock.stays" . | fromYaml) (dict "penstock.dev/checksum" (toJson (list $gateway.maxPods $gateway.tolerations) | sha256sum | trunc 16)))
    "serviceAccountName" (include "penstock.gatewayAccountName" .)
  ) | nindent 2 }}
{{- end -}}

{{/* Its being there tells the pod's gateway at once that the pod goes, also where nobody is left to tell it through Ray. */}}
{{- define "penstock.leavingFile" -}}
/tmp/penstock-leaving
{{- end -}}
