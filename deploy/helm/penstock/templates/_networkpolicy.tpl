{{/* Rules that several policies share. */}}

{{- define "penstock.peer" -}}
namespaceSelector: {{ toJson .namespaceSelector }}
{{- with .podSelector }}
podSelector: {{ toJson . }}
{{- end }}
{{- end -}}

{{- define "penstock.ingressOfRay" -}}
# pods of this release → each other: Ray's ports are many and chosen at random, engines' ports too
- from:
    - podSelector:
        matchLabels:
          {{- include "penstock.selectorLabels" (dict "root" . "component" "") | nindent 10 }}
# Prometheus → Ray's metrics
- ports: [{port: metrics}]
  from:
    - {{- include "penstock.peer" .Values.networkPolicy.monitoring | nindent 6 }}
{{- end -}}

{{/* Takes (dict "root" $ "more" list of rules). */}}
{{- define "penstock.egress" -}}
{{- $root := .root -}}
{{- $more := .more -}}
{{- with .root.Values.networkPolicy.egress }}
{{- if .restricted }}
egress:
  # → DNS
  - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
  # → pods of this release
  - to:
      - podSelector:
          matchLabels:
            {{- include "penstock.selectorLabels" (dict "root" $root "component" "") | nindent 12 }}
  {{- with concat .allow ($more | default list) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}
