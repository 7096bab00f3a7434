{{/* The chart's name, or what the user puts in its place. */}}
{{- define "modelyard.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of the release's objects. 50 characters leave room for suffixes in the 63 of a label. */}}
{{- define "modelyard.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := include "modelyard.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* What tells the operator's pods from all others. A Deployment's selector never changes, so neither do these. */}}
{{- define "modelyard.selectorLabels" -}}
app.kubernetes.io/name: {{ include "modelyard.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end }}

{{- define "modelyard.labels" -}}
{{ include "modelyard.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: modelyard
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "modelyard.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "modelyard.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* An image's full name, of a dict with `image` and the chart's `version`. */}}
{{- define "modelyard.image" -}}
{{- if .image.digest }}
{{- printf "%s@%s" .image.repository .image.digest }}
{{- else }}
{{- printf "%s:%s" .image.repository (default .version .image.tag) }}
{{- end }}
{{- end }}

{{/* Pod Security Standard "restricted". No user is named: the image has one, and OpenShift gives each namespace its own. */}}
{{- define "modelyard.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "modelyard.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/*
Whose a definition is, of a dict with its `name` and the `release`; empty if it is not there, or this release's own. Whether it is that,
Helm judges by one label and two annotations.
*/}}
{{- define "modelyard.crdOwner" -}}
{{- with lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" .name }}
{{- $name := index (default dict .metadata.annotations) "meta.helm.sh/release-name" }}
{{- $namespace := index (default dict .metadata.annotations) "meta.helm.sh/release-namespace" }}
{{- $is_helms := eq (toString (index (default dict .metadata.labels) "app.kubernetes.io/managed-by")) "Helm" }}
{{- if not (and $is_helms $name $namespace) }}
{{- "not of a Helm release" }}
{{- else if or (ne $name $.release.Name) (ne $namespace $.release.Namespace) }}
{{- printf "of the release %s in namespace %s" $name $namespace }}
{{- end }}
{{- end }}
{{- end }}

{{/* Refuses what the schema cannot: values that contradict the chart or each other. */}}
{{- define "modelyard.check" -}}
{{- $taken := list "MODELYARD_SERVER_IMAGE" "MODELYARD_SERVER_IMAGE_ORT" "MODELYARD_WATCH_NAMESPACES" "MODELYARD_HEALTH_ADDRESS" "MODELYARD_LOG_LEVEL" "MODELYARD_LOG_FORMAT" "POD_NAME" "POD_NAMESPACE" }}
{{- range .Values.extraEnv }}
{{- if has .name $taken }}
{{- fail (printf "extraEnv: the chart itself sets %s; use serverImage, serverImageOrt, watchNamespaces or log" .name) }}
{{- end }}
{{- end }}
{{- $instead := dict "--server-image" "use serverImage" "--server-image-ort" "use serverImageOrt" "--watch-namespaces" "use watchNamespaces" }}
{{- $_ := set $instead "--log-level" "use log.level" }}
{{- $_ := set $instead "--log-format" "use log.format" }}
{{- $_ := set $instead "--health-address" "probes and monitors count on port 8081" }}
{{- $_ := set $instead "--lease-namespace" "it is the namespace of the release" }}
{{- $_ := set $instead "--identity" "it is the name of the pod" }}
{{- range .Values.extraArgs }}
{{- $flag := splitList "=" . | first }}
{{- with get $instead $flag }}
{{- fail (printf "extraArgs: the chart itself sets %s: %s" $flag .) }}
{{- end }}
{{- end }}
{{- $labels := include "modelyard.labels" . | fromYaml }}
{{- range $key, $value := .Values.podLabels }}
{{- if hasKey $labels $key }}
{{- fail (printf "podLabels: the chart itself sets %s" $key) }}
{{- end }}
{{- end }}
{{- if and .Values.podMonitor.enabled .Values.serviceMonitor.enabled }}
{{- fail "podMonitor and serviceMonitor are both enabled, and each sample would count twice: choose one" }}
{{- end }}
{{- end }}
