{{/*
What the operator does, and nothing more: it watches (list, watch), creates what never changes (create), applies what
does (patch; create where it is not there yet), replaces the status (update), and deletes what is no longer wanted. No
secrets, no nodes.
*/}}
{{- define "olive-operator.rules" -}}
- apiGroups: [olive-operator.io]
  resources: [optimizationjobs]
  verbs: [list, watch, delete]
- apiGroups: [olive-operator.io]
  resources: [optimizationjobs/status]
  verbs: [update]
# Owner references with blockOwnerDeletion, where the API server checks the right to set them.
- apiGroups: [olive-operator.io]
  resources: [optimizationjobs/finalizers]
  verbs: [update]
- apiGroups: [olive-operator.io]
  resources: [artifacts]
  verbs: [list, watch, create, patch, delete]
# Patched is only the suspension of a sweep.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch, create, patch, delete]
# What goes with a serving.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [list, watch, create, patch, delete]
{{- if .Values.gatewayAPI }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [list, watch, create, patch, delete]
{{- end }}
# A claim holds people's artifacts: it is never changed and never deleted.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [list, watch, create]
# Whether the queue that a job names is there.
- apiGroups: [kueue.x-k8s.io]
  resources: [localqueues]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [list, create]
{{- end -}}
