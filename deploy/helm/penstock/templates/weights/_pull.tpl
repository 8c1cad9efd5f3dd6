{{/* What the Job that downloads weights is made of: a document of all models, and a pod that pulls them. */}}

{{/* As JSON. */}}
{{- define "penstock.pullDocument" -}}
{{- dict "models" (include "penstock.models" . | fromJson) "hardware" .Values.hardware "weights" .Values.weights "logging" .Values.logging | toJson -}}
{{- end -}}

{{- define "penstock.pullPod" -}}
{{- $engine := .Values.cluster.engine -}}
metadata:
  labels:
    {{- include "penstock.podLabels" (dict "root" . "component" "weights") | nindent 4 }}
  annotations:
    {{- include "penstock.overlay" (list .Values.commonAnnotations (dict "checksum/document" (include "penstock.pullDocument" . | sha256sum))) | fromJson | toYaml | nindent 4 }}
spec:
  restartPolicy: OnFailure
  automountServiceAccountToken: false
  enableServiceLinks: false
  serviceAccountName: {{ include "penstock.serviceAccountName" . }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
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
    - name: pull
      {{- $group := include "penstock.engineGroups" . | fromJsonArray | first | default dict }}
      image: {{ include "penstock.engineImage" (dict "root" . "hardware" ($group.hardware | default "cpu")) }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [penstock, pull, -f, /etc/penstock/penstock.json]
      securityContext:
        {{- include "penstock.containerSecurity" . | nindent 8 }}
      {{- with include "penstock.overlay" (list (include "penstock.engineEnv" . | fromJson) $engine.env) | fromJson }}
      env:
        {{- include "penstock.env" . | nindent 8 }}
      {{- end }}
      {{- with include "penstock.engineEnvFrom" . | fromJsonArray }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      resources:
        requests: {cpu: 500m, memory: 1Gi}
        limits: {memory: 2Gi}
      volumeMounts:
        - {name: document, mountPath: /etc/penstock, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        - {name: home, mountPath: /home/penstock}
        {{- range $name, $mount := include "penstock.engineMounts" . | fromJson }}
        - {{- merge (dict "name" $name) $mount | toYaml | nindent 10 }}
        {{- end }}
  volumes:
    - name: document
      configMap: {name: {{ include "penstock.fullname" . }}-weights}
    - {name: tmp, emptyDir: {}}
    - {name: home, emptyDir: {}}
    {{- range $name, $volume := include "penstock.engineVolumes" . | fromJson }}
    - {{- merge (dict "name" $name) $volume | toYaml | nindent 6 }}
    {{- end }}
{{- end -}}
