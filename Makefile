# `make help` tells what there is. Needed: Linux, Python 3.11 or newer with venv, Go, a C compiler, and root for the cluster.
# Everything else is installed below .venv, images/*/.venv and .build, and in ~/.cache/olive-operator.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
UV_VERSION := 0.13.8
UV := $(or $(shell command -v uv),$(CURDIR)/.build/tools/bin/uv)
PY := .venv/bin/python
RESULTS := $(CURDIR)/.build/test
ENVIRONMENTS := .venv/.synced images/serve/.venv/.synced images/stage/.venv/.synced
# Three at a time, as they mostly wait; those of a line take turns. One node of hack/cluster is enough for a machine.
ON_A_NODE := e2e cluster
ON_API_SERVERS := apiserver bench chaos
WITHOUT := check docs monitoring gitops chart stage serve run
SUITES := $(ON_A_NODE) $(ON_API_SERVERS) $(WITHOUT)

##@ The product
.PHONY: demo demo-down images
demo: .venv/.synced ## the whole product on this machine, or on the cluster of KUBECONFIG or CONTEXT; JSON=FILE keeps the times
	@$(PY) hack/demo up $(if $(JSON),--json $(JSON))
demo-down: .venv/.synced ## remove every trace of the demo
	@$(PY) hack/demo down
images: ## build the images
	@$(PYTHON) hack/images build

##@ Development
.PHONY: check check-style check-types check-types-stage check-types-serve check-imports check-tests format
TYPED_TESTS := $(addprefix tests/,unit builders golden apiserver chaos chart cli docs gitops monitoring run e2e)
CHECKS := check-style check-types check-types-stage check-types-serve check-imports check-tests
check: $(ENVIRONMENTS) ## style, types, import layers and the quick tests: the gate, two minutes
	@$(MAKE) -j2 --keep-going --output-sync=target $(CHECKS)
check-style:
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
check-types:
	@.venv/bin/mypy
	@MYPYPATH=hack/cluster:hack/images:hack/demo:operator .venv/bin/mypy -p olive_cluster -p olive_images -p olive_demo
	@MYPYPATH=hack/dashboards:hack/docs:operator:images/serve .venv/bin/mypy -p olive_dashboards -p olive_docs
	@MYPYPATH=bench .venv/bin/mypy bench/*.py bench/controller_parts/*.py
	@MYPYPATH=operator:tests:bench:hack/demo:hack/cluster:hack/images:hack/dashboards:hack/docs:images/serve .venv/bin/mypy $(TYPED_TESTS)
check-types-stage:
	@cd images/stage && .venv/bin/mypy && .venv/bin/mypy ../../bench/stage/*.py
check-types-serve:
	@cd images/serve && .venv/bin/mypy && MYPYPATH=.:../../operator:../../bench .venv/bin/mypy -p serve
check-imports:
	@.venv/bin/lint-imports --no-logo
check-tests:
	@$(PY) -m pytest tests/unit tests/golden tests/cli --junitxml=$(RESULTS)/check.xml
format: .venv/.synced ## let ruff correct style and imports
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

##@ Tests
.PHONY: test set-up $(SUITES:%=test-%)
test: ## everything, from a clean checkout; each suite also by itself: make test-SUITE
	@rm -rf $(RESULTS); mkdir -p $(RESULTS)
	@$(MAKE) -j in-turn-ON_A_NODE in-turn-ON_API_SERVERS in-turn-WITHOUT
	@echo "=== results (more in $(RESULTS))"; cat $(RESULTS)/summary; ! grep -q FAILED $(RESULTS)/summary
# On a new machine Kubernetes and the images are built while the suites that do without them run.
in-turn-ON_A_NODE: $(ENVIRONMENTS) set-up-programs set-up-images
in-turn-ON_API_SERVERS: $(ENVIRONMENTS) set-up-programs
in-turn-WITHOUT: $(ENVIRONMENTS) set-up-packages
in-turn-%:
	@for suite in $($*); do \
	    start=$$SECONDS; result=passed; \
	    $(MAKE) test-$$suite > $(RESULTS)/$$suite.log 2>&1 || { result=FAILED; cat $(RESULTS)/$$suite.log; }; \
	    printf '%-10s  %-6s  %4d s\n' $$suite $$result $$((SECONDS - start)) | tee -a $(RESULTS)/summary; \
	done
test-check: check
test-chart: hack/lint/.venv/.synced
test-chart test-gitops test-docs test-monitoring test-apiserver test-cluster test-e2e: test-%: .venv/.synced
	@$(PY) -m pytest tests/$* --durations=10 --junitxml=$(RESULTS)/$*.xml
test-chaos: .venv/.synced
	@PYTHONPATH=operator:tests:bench $(PY) -m chaos --jobs 6 --seconds 30 --seed 11
test-stage: images/stage/.venv/.synced
	@cd images/stage && .venv/bin/python -m pytest -c pyproject.toml ../../tests/stage --durations=10 --junitxml=$(RESULTS)/stage.xml
test-serve: images/serve/.venv/.synced
	@cd images/serve && .venv/bin/python -m pytest ../../tests/serve --durations=10 --junitxml=$(RESULTS)/serve.xml
test-run: $(ENVIRONMENTS)
	@$(PY) -m pytest tests/run --durations=10 --junitxml=$(RESULTS)/run.xml
test-bench: .venv/.synced images/stage/.venv/.synced
	@$(PY) bench/stages.py --shape tiny --no-keep
	@$(PY) bench/controller.py --jobs 30 --longest-s 2 --places 100 --rest-s 5 --no-keep

.PHONY: set-up-programs set-up-images set-up-packages
set-up: ## everything that tests need: environments, the cluster's programs, the images
	@$(MAKE) -j --output-sync=target $(ENVIRONMENTS) set-up-programs set-up-images set-up-packages hack/lint/.venv/.synced
set-up-programs:
	@$(PYTHON) hack/cluster build
set-up-images:
	@$(PYTHON) hack/images build
set-up-packages: # Debian's, for the tests of the chat page and of rules and dashboards
	@command -v chromium google-chrome >/dev/null || $(PYTHON) hack/cluster install chromium
	@command -v promtool >/dev/null || $(PYTHON) hack/cluster install promtool

##@ The cluster and the benches
.PHONY: cluster-up cluster-down bench bench-stages bench-controller bench-serve chaos
cluster-up: ## a one-node Kubernetes on this machine; prints the path of its kubeconfig
	@$(PYTHON) hack/cluster up
cluster-down: ## take it down
	@$(PYTHON) hack/cluster down
bench: .venv/.synced ## where the demo's time goes, what memory the operator takes, how fast another takes over
	@$(PY) bench/demo_time.py
	@$(PY) bench/operator_memory.py
	@$(PY) bench/takeover.py
bench-stages: .venv/.synced images/stage/.venv/.synced ## what each stage costs, on the GPU where there is one; OLIVE=1: Olive's own commands as well
	@$(PY) bench/stages.py $(if $(OLIVE),--olive)
bench-controller: .venv/.synced ## what the controller costs with JOBS="250 500 1000 2000" jobs on a real API server
	@$(PY) bench/controller.py --jobs $(or $(JOBS),250 500 1000 2000)
bench-serve: $(ENVIRONMENTS) ## how fast answers come, beside onnxruntime-genai and llama-server; SOAK=30: many clients for so many minutes
	@PYTHONPATH=bench:operator images/serve/.venv/bin/python -m serve $(if $(SOAK),--soak $(SOAK))
chaos: SEED := $(or $(SEED),$(shell echo $$RANDOM))
chaos: .venv/.synced ## everything that goes wrong, at length: random plans, hostile specs, 30 minutes of faults; SEED=
	@HYPOTHESIS_PROFILE=long $(PY) -m pytest tests/unit/test_plan_machine.py tests/unit/test_retention_machine.py --hypothesis-seed=$(SEED)
	@HOSTILE_SPECS=10000 HOSTILE_SEED=$(SEED) $(PY) -m pytest tests/apiserver/test_hostile_specs.py
	@PYTHONPATH=operator:tests:bench $(PY) -m chaos --keep --seed $(SEED)

##@ Around it
.PHONY: help clean
help: ## this
	@awk -F ':.*## ' '/^##@ /{print "\n" substr($$0, 5)} /^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile
clean: ## remove environments and results; the caches in ~/.cache/olive-operator stay
	rm -rf .build .venv images/*/.venv hack/*/.venv .mypy_cache .ruff_cache .pytest_cache

# One environment for each lock. The lock decides, never a newer release.
.venv/.synced: pyproject.toml uv.lock | $(UV)
	@echo "environment: ."; $(UV) sync --frozen --quiet --python $(PYTHON); touch $@
images/serve/.venv/.synced: images/serve/pyproject.toml images/serve/uv.lock $(wildcard images/serve/native/*) | $(UV)
	@echo "environment: images/serve"; $(UV) sync --frozen --quiet --python $(PYTHON) --project images/serve
	@images/serve/native/build images/serve/.venv/lib/olive_ops.so; touch $@
%/.venv/.synced: %/pyproject.toml %/uv.lock | $(UV)
	@echo "environment: $*"; $(UV) sync --frozen --quiet --python $(PYTHON) --project $*; touch $@
$(CURDIR)/.build/tools/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "error: $(PYTHON) is older than 3.11; set PYTHON to a newer one" >&2; exit 1; }
	@$(PYTHON) -m venv .build/tools \
	    || { echo "error: $(PYTHON) has no venv; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@.build/tools/bin/pip install --quiet uv==$(UV_VERSION)
