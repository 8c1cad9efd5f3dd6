{{/*
The one pod template of all three kinds of pods: head, gateway, engine. Takes

  (dict "root" $ "component" "engine" "pods" .Values.cluster.engine "image" "..." "resources" map
        "drain" seconds "grace" seconds "preStop" list "env" map "volumes" map "mounts" map "ports" map "readiness" map "liveness" map "startup" map
        "labels" map "nodeSelector" map "tolerations" list "serviceAccountName" "..." "token" bool
        "shareProcessNamespace" bool)

`drain` is how long Ray waits for replicas to stop, `grace` how long Kubernetes waits for Ray: half a minute more, unless
given. What the values say about the pods (`pods`) is laid over what the component needs. Satisfies the restricted Pod Security
profile; the root filesystem is read-only, and what Ray and vLLM write goes to /tmp and to the home folder.
*/}}
{{- define "penstock.podTemplate" -}}
{{- $root := .root -}}
{{- $drain := dict "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S" (toString .drain) -}}
{{- $env := include "penstock.overlay" (list (include "penstock.commonEnv" $root | fromJson) $drain .env .pods.env) | fromJson -}}
{{- $writable := dict "tmp" (dict "emptyDir" dict) "home" (dict "emptyDir" dict) -}}
{{- $volumes := include "penstock.overlay" (list $writable .volumes .pods.volumes) | fromJson -}}
{{- $places := dict "tmp" (dict "mountPath" "/tmp") "home" (dict "mountPath" "/home/penstock") -}}
{{- $mounts := include "penstock.overlay" (list $places .mounts .pods.volumeMounts) | fromJson -}}
{{- $selector := dict "root" $root "component" .component -}}
metadata:
  labels:
    {{- /* Without versions: a chart of a newer version that changes nothing here leaves the pods alone. */}}
    {{- include "penstock.podLabels" (dict "root" $root "component" .component "labels" (list .pods.labels .labels)) | nindent 4 }}
  {{- with include "penstock.overlay" (list $root.Values.commonAnnotations .annotations .pods.annotations) | fromJson }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  terminationGracePeriodSeconds: {{ .grace | default (add .drain 30) }}
  automountServiceAccountToken: {{ .token | default false }}
  enableServiceLinks: false
  {{- if .shareProcessNamespace }}
  shareProcessNamespace: true
  {{- end }}
  {{- with .serviceAccountName }}
  serviceAccountName: {{ . }}
  {{- end }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .pods.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with include "penstock.overlay" (list .nodeSelector .pods.nodeSelector) | fromJson }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with concat (.tolerations | default list) .pods.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .pods.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .pods.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    {{- $labels := dict "labelSelector" (dict "matchLabels" (include "penstock.selectorLabels" $selector | fromYaml)) }}
    - {{- include "penstock.overlay" (list $labels .) | fromJson | toYaml | nindent 6 }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 1000
    runAsGroup: 1000
    fsGroup: 1000
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: ray
      image: {{ .image }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      securityContext:
        {{- include "penstock.containerSecurity" $root | nindent 8 }}
      env:
        {{- include "penstock.env" $env | nindent 8 }}
      {{- with .envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        {{- range $name, $port := .ports }}
        - {name: {{ $name }}, containerPort: {{ $port }}}
        {{- end }}
      {{- with .preStop }}
      lifecycle:
        preStop:
          exec: {command: {{ toJson . }}}
      {{- end }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      {{- with .startup }}
      startupProbe:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      readinessProbe:
        {{- toYaml .readiness | nindent 8 }}
      livenessProbe:
        {{- toYaml .liveness | nindent 8 }}
      volumeMounts:
        {{- range $name, $mount := $mounts }}
        - {{- merge (dict "name" $name) $mount | toYaml | nindent 10 }}
        {{- end }}
  volumes:
    {{- range $name, $volume := $volumes }}
    - {{- merge (dict "name" $name) $volume | toYaml | nindent 6 }}
    {{- end }}
{{- end -}}

{{/* Takes (dict "root" $ "component" "engine" "labels" (list map ...)). Nothing given can take a pod from its selectors. */}}
{{- define "penstock.podLabels" -}}
{{- $laid := concat (list (dict "app.kubernetes.io/part-of" "penstock") .root.Values.commonLabels) (.labels | default list) -}}
{{- include "penstock.overlay" (append $laid (include "penstock.selectorLabels" . | fromYaml)) | fromJson | toYaml -}}
{{- end -}}

{{- define "penstock.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* A map of variables → Kubernetes' list. A text is a value; a map is what Kubernetes allows beside `name`. */}}
{{- define "penstock.env" -}}
{{- range $name, $value := . }}
{{- if kindIs "map" $value }}
- {{- merge (dict "name" $name) $value | toYaml | nindent 2 }}
{{- else }}
- {name: {{ $name }}, value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* For every Ray process: Serve reads some of these on the head, some where replicas run. */}}
{{- define "penstock.commonEnv" -}}
{{- dict
  "RAY_SERVE_AUTOSCALING_METRIC_RECORD_INTERVAL_FACTOR" "0.5"
  "RAY_USAGE_STATS_ENABLED" "0"
  "RAY_worker_niceness" "0"
  | toJson -}}
{{- end -}}

{{/* Ray's own account of a node: the agent answers when its raylet does. Health needs no token. */}}
{{- define "penstock.rayletProbe" -}}
httpGet: {path: /api/local_raylet_healthz, port: 52365}
periodSeconds: 5
timeoutSeconds: 5
{{- end -}}
