{{- define "depa.name" -}}
{{- printf "%s-depa" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "depa.labels" -}}
app.kubernetes.io/name: depa
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* What every pod shares: no token of the cluster, one unprivileged user. */}}
{{- define "depa.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "depa.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "depa.image" -}}
{{ .root.Values.images.registry }}depa/{{ .of }}:{{ .root.Values.images.tag }}
{{- end -}}

{{/* Secrets are mounted readable by a group, and the services refuse such keys: a first container lays copies of mode 0600 into memory. */}}
{{- define "depa.keys" -}}
- name: keys
  image: {{ include "depa.image" (dict "root" .root "of" "init") }}
  imagePullPolicy: {{ .root.Values.images.pullPolicy }}
  command: [/bin/sh, -ec, "for file in /secrets/*; do install -m 0600 \"$file\" /run/depa/; done"]
  {{- include "depa.container" .root | nindent 2 }}
  resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
  volumeMounts:
    - {name: secrets, mountPath: /secrets, readOnly: true}
    - {name: keys, mountPath: /run/depa}
{{- end -}}

{{/* Ends TLS before a service that listens on loopback; the other end of nginx.conf. */}}
{{- define "depa.proxy" -}}
- name: tls
  image: {{ include "depa.image" (dict "root" .root "of" "tls-proxy") }}
  imagePullPolicy: {{ .root.Values.images.pullPolicy }}
  {{- include "depa.container" .root | nindent 2 }}
  resources: {{- toYaml .root.Values.kmsDefaults.proxyResources | nindent 4 }}
  ports:
    - {name: https, containerPort: 8443}
    - {name: metrics, containerPort: 9101}
  volumeMounts:
    - {name: proxy, mountPath: /etc/depa/nginx.conf, subPath: nginx.conf, readOnly: true}
    - {name: proxy, mountPath: /etc/depa/metrics.conf, subPath: metrics.conf, readOnly: true}
    - {name: tls, mountPath: /etc/depa/tls, readOnly: true}
    - {name: proxy-run, mountPath: /run/depa-proxy}
{{- end -}}

{{/* Counts are served on loopback alone; this passes them on, and nothing else. Who may ask is the network policy's. */}}
{{- define "depa.metrics.conf" -}}
server {
    listen 9101;
    location = /metrics { proxy_pass http://127.0.0.1:9100; }
    location / { return 404; }
}
{{- end -}}

{{/* What Prometheus asks: a Service without an address of its own, so that no load balancer ever shows it. The job is the
component, by which the alert rules tell services. */}}
{{- define "depa.metrics" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ printf "%s-metrics" (.name | trunc 55 | trimSuffix "-") }}
  labels:
    {{- include "depa.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  type: ClusterIP
  clusterIP: None
  # A process that is not ready is counted all the more.
  publishNotReadyAddresses: true
  selector:
    app.kubernetes.io/instance: {{ .root.Release.Name }}
    app.kubernetes.io/component: {{ .component }}
  ports:
    - {name: metrics, port: 9101, targetPort: metrics}
{{- if .root.Values.serviceMonitor.enabled }}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ .name }}
  labels:
    {{- include "depa.labels" .root | nindent 4 }}
    {{- with .root.Values.serviceMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  jobLabel: app.kubernetes.io/component
  selector:
    matchLabels:
      app.kubernetes.io/instance: {{ .root.Release.Name }}
      app.kubernetes.io/component: {{ .component }}
  endpoints:
    - port: metrics
      interval: {{ .root.Values.serviceMonitor.interval }}
{{- end }}
{{- end -}}

{{/* Only the monitoring's namespace may ask. */}}
{{- define "depa.metrics.from" -}}
- ports: [{port: 9101}]
  from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .Values.networkPolicy.monitoringNamespace }}
{{- end -}}
