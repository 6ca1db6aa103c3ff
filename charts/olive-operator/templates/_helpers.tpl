{{/* The name of the application, for labels. */}}
{{- define "olive-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of the release's objects. */}}
{{- define "olive-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "olive-operator.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change during the life of a release. */}}
{{- define "olive-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "olive-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* The same as one writes a selector. */}}
{{- define "olive-operator.selector" -}}
{{- $pairs := list -}}
{{- range $label, $value := include "olive-operator.selectorLabels" . | fromYaml -}}
{{- $pairs = append $pairs (printf "%s=%s" $label $value) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "olive-operator.labels" -}}
{{ include "olive-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Those of the pod of `helm test`: neither the Deployment nor a Service is to take it for an operator. */}}
{{- define "olive-operator.testSelectorLabels" -}}
app.kubernetes.io/name: {{ include "olive-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end -}}

{{- define "olive-operator.testLabels" -}}
{{- $own := include "olive-operator.testSelectorLabels" . | fromYaml -}}
{{- include "olive-operator.labels" . | fromYaml | merge $own | toYaml -}}
{{- end -}}

{{- define "olive-operator.serviceAccountName" -}}
{{- $default := .Values.serviceAccount.create | ternary (include "olive-operator.fullname" .) "default" -}}
{{- .Values.serviceAccount.name | default $default -}}
{{- end -}}

{{/* An image reference (by its name in .Values.images), with the appVersion where it has no tag or digest. */}}
{{- define "olive-operator.image" -}}
{{- $reference := index .context.Values.images .image -}}
{{- if or (contains "@" $reference) (regexMatch ":[^/]+$" $reference) -}}
{{- $reference -}}
{{- else -}}
{{- printf "%s:%s" $reference .context.Chart.AppVersion -}}
{{- end -}}
{{- end -}}

{{/* The operator's configuration file: olive_operator/config.py reads it, and refuses what it does not know. */}}
{{- define "olive-operator.config" -}}
{{- $images := dict -}}
{{- range $image := list "stage" "stageSlim" "serve" -}}
{{- $_ := set $images $image (include "olive-operator.image" (dict "context" $ "image" $image)) -}}
{{- end -}}
{{- $config := pick .Values "namespaces" "imagePullPolicy" "imagePullSecrets" "cpuStage" "gpuStage" "serve" "egress" "storage" "store" "retry" "timeouts" "progressDeadline" "imagePullDeadline" "progressSeconds" "gatewayAPI" -}}
{{- $lease := merge (dict "name" (include "olive-operator.fullname" $)) .Values.lease -}}
{{- if or (ge (float64 $lease.renewSeconds) (float64 $lease.seconds)) (ge (float64 $lease.retrySeconds) (float64 $lease.renewSeconds)) -}}
{{- fail "lease: retrySeconds has to be less than renewSeconds, and that less than seconds" -}}
{{- end -}}
{{- $metrics := pick .Values.metrics "jobs" -}}
{{- toYaml (merge (dict "images" $images "lease" $lease "metrics" $metrics "tracing" .Values.tracing) $config) -}}
{{- end -}}
