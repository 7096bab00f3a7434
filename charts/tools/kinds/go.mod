// Kinds of others that the chart and the examples name. Only their YAML is read, so nothing imports these modules: do not tidy.
module modelyard.test/kinds

go 1.26.4

require (
	github.com/prometheus-operator/prometheus-operator v0.85.0
	sigs.k8s.io/gateway-api v1.6.3
)
