{{/*
What the operator may do in the namespaces that it watches. One list, since a ClusterRole and the Roles of watchNamespaces must
never differ. Nothing may be updated or read beyond what the operator does: it writes by server-side apply, which is "patch", and
an apply that makes an object asks for "create" as well.
*/}}
{{- define "modelyard.rules" -}}
- apiGroups: [modelyard.dev]
  resources: [modeldeployments]
  verbs: [get, list, watch]
- apiGroups: [modelyard.dev]
  resources: [modeldeployments/status]
  verbs: [patch]
# Where OwnerReferencesPermissionEnforcement is on, an owner reference that blocks deletion asks for this.
- apiGroups: [modelyard.dev]
  resources: [modeldeployments/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
