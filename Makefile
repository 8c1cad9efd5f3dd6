# Penstock's commands. `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv/bin
DEMO := build/demo-model
DOCUMENT ?= examples/demo.yaml
PYTEST := $(VENV)/python -m pytest
# Tests that share no Ray and no vLLM run side by side, a file at a time.
BESIDE := -n logical --maxprocesses 4 --dist loadfile
# Those with a Ray of their own wait more than they work: two files at a time, in their order, where long ones come early.
PAIRED := -n 2 --dist loadfile --no-loadscope-reorder
# So many tests with real processes may fail once and are tried again; each is told of with its traceback.
AGAIN ?= 0
TWICE = $(if $(filter-out 0,$(AGAIN)),--reruns 1 --max-suite-reruns $(AGAIN) --rerun-show-tracebacks)
UV = VIRTUAL_ENV=$(CURDIR)/.venv $(VENV)/python -m uv
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url --override requirements/overrides.txt

.PHONY: help
help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: environment-cpu $(DEMO) ## Serve the demo model at http://localhost:8000/v1 (DOCUMENT=... for another document)
	@$(VENV)/penstock up -f $(DOCUMENT)

.PHONY: test
test: test-unit test-integration test-ray test-engine ## Run all tests that need no cluster

.PHONY: test-unit
test-unit: environment-dev ## Run the tests that need no network, with the coverage of the pure parts
	$(PYTEST) -q $(BESIDE) -m "not integration and not ray and not engine and not cluster" \
		--cov --cov-report=term-missing:skip-covered

.PHONY: explore
explore: environment-dev ## Draw new and more cases for the property tests than `make test` does
	$(PYTEST) -q --hypothesis-profile explore -m "not integration and not ray and not engine and not cluster"

.PHONY: test-integration
test-integration: environment-dev environment-clients ## Run the tests with real sockets and processes
	$(PYTEST) -q $(BESIDE) $(TWICE) -m "integration and not ray and not engine and not cluster"

.PHONY: test-ray
test-ray: environment-dev ## Run the tests with a real Ray and the simulator
	$(PYTEST) -q $(PAIRED) $(TWICE) --durations=12 -m "ray and not engine and not cluster"

.PHONY: test-engine
test-engine: environment-dev environment-clients $(DEMO) ## Run the tests with a real vLLM on the CPU
	$(PYTEST) -q $(TWICE) --durations=12 -m "engine and not cluster"

.PHONY: test-aws
test-aws: environment-dev ## Apply the examples for AWS against moto's server, look at what is there, and destroy them: six minutes
	PENSTOCK_TF_APPLY=1 $(PYTEST) -q tests/terraform/test_the_examples_for_aws_are_applied.py

.PHONY: chaos
chaos: environment-dev ## Kill engines and apply documents under load for twenty minutes (CHAOS="--chaos-seed 2" for others)
	$(PYTEST) -q -s tests/chaos --chaos-minutes 20 $(CHAOS)

.PHONY: e2e
e2e: environment-dev $(DEMO) ## Test on the cluster that KUBECONFIG names (BUILD=... as images/build says)
	images/build gateway demo test-redis test-postgres
	$(PYTEST) -q $(TWICE) --durations=12 -m cluster

.PHONY: lint
lint: environment-dev ## Check style, types, the layers and the chart
	$(VENV)/ruff check .
	$(VENV)/ruff format --check --quiet .
	$(VENV)/mypy
	$(VENV)/lint-imports --no-logo
	@if command -v go >/dev/null; then $(MAKE) --no-print-directory chart-check; \
		else echo "There is no Go: the chart was not held to the schemas"; fi

.PHONY: bench
bench: environment-dev $(DEMO) ## Measure bare vLLM, Penstock, and Penstock with the simulator, side by side
	$(VENV)/python -m penstock bench --compare --first-token 100 --output build/bench

.PHONY: bench-accounts
bench-accounts: environment-dev ## Measure gateways without accounts, with SQLite, and with PostgreSQL and Redis, side by side
	$(VENV)/python -m penstock bench --accounts --rounds 10 --first-token 300 --output build/bench

.PHONY: bench-cache
bench-cache: environment-dev ## Measure answers from the cache, misses, and a gateway without a cache, side by side
	$(VENV)/python -m penstock bench --cache --first-token 300 --output build/bench

.PHONY: bench-start
bench-start: environment-dev $(DEMO) ## Measure starts from no engine, bare vLLM and Penstock with 50 waiting requests in turn
	$(VENV)/python -m penstock bench --cold-start 3 --output build/bench

.PHONY: autoscaling
autoscaling: environment-dev ## Play made-up load under each autoscaling policy, and write the tables of docs/autoscaling.md
	$(VENV)/python -m penstock.scaling.replay

.PHONY: docs
docs: environment-dev chart-files ## Generate the configuration reference and the chart's files
	$(VENV)/python -m penstock.config.reference > docs/configuration.md

.PHONY: chart-files
chart-files: environment-dev ## Generate the chart's values, schema and reference from the models
	$(VENV)/python -m penstock.chart deploy/helm/penstock

.PHONY: chart
chart: environment-dev chart-check ## Package the chart into build/charts
	$(VENV)/helm package deploy/helm/penstock --destination build/charts

.PHONY: chart-check
chart-check: environment-dev ## Hold what the chart makes of the examples to the schemas of Kubernetes and KubeRay
	@set -eo pipefail; for values in examples/values-*.yaml; do \
		$(VENV)/helm lint --strict --quiet deploy/helm/penstock -f $$values --set skipCapabilityCheck=true; \
		$(VENV)/helm template penstock deploy/helm/penstock --namespace penstock -f $$values \
			--set skipCapabilityCheck=true | scripts/kubeconform -; \
	done

.PHONY: chart-golden
chart-golden: environment-dev ## Write down anew what the chart makes of the examples
	PYTHONPATH=tests $(VENV)/python -m support.golden

.PHONY: terraform-docs
terraform-docs: environment-dev ## Write what the Terraform modules take and give into their pages, and copy their tables
	PYTHONPATH=tests $(VENV)/python -m support.terraform_docs

.PHONY: lock
lock: environment-dev ## Pin all requirements anew, with hashes
	$(LOCK) --extra cpu --extra s3 --extra bench pyproject.toml -o requirements/cpu.txt
	$(LOCK) --constraint requirements/cpu.txt --extra cpu --extra s3 --extra gcs --extra bench --group dev \
		pyproject.toml -o requirements/dev.txt
	$(LOCK) --constraint requirements/dev.txt pyproject.toml -o requirements/gateway.txt
	$(LOCK) --constraint requirements/dev.txt --override requirements/engine-overrides.txt --extra cpu --extra s3 \
		--extra gcs pyproject.toml -o requirements/engine.txt
	@# What is laid over vLLM's own image must suit it. NumPy is built into too much there, so that one is left alone.
	$(LOCK) --constraint requirements/dev.txt --no-emit-package numpy --extra s3 --extra gcs pyproject.toml \
		-o requirements/gpu.txt
	$(UV) pip compile --quiet --python-version 3.12 --python-platform x86_64-manylinux_2_28 \
		--constraint requirements/gpu.txt --extra gpu pyproject.toml >/dev/null
	echo 'hatchling>=1.27' | $(LOCK) - -o requirements/build.txt
	$(LOCK) requirements/clients.in -o requirements/clients.txt
	echo 'checkov>=3.2' | $(LOCK) - -o requirements/policy.txt

.PHONY: images
images: ## Build the gateway's and the engine's image (VARIANT=cuda for GPUs)
	images/build

.PHONY: images-demo
images-demo: environment-dev $(DEMO) ## Build the gateway's image, and the engine's with the demo's models in it
	images/build gateway demo

.PHONY: kind
kind: environment-dev $(DEMO) ## Serve the demo on a kind cluster of this machine, at http://localhost:8000/v1
	PATH="$(CURDIR)/$(VENV):$$PATH" deploy/kind/up

.PHONY: demo
demo: environment-cpu $(DEMO) ## Make the demo model

$(DEMO): $(wildcard serve/penstock/demo/*.py)
	@$(VENV)/python -m penstock.demo $(DEMO)
	@touch $(DEMO)

.PHONY: environment-cpu
environment-cpu: # A development environment holds all of it too.
	@[ -e .venv/.installed-dev ] && scripts/environment dev || scripts/environment cpu

.PHONY: environment-dev
environment-dev:
	@scripts/environment dev

.PHONY: environment-clients
environment-clients: environment-dev
	@scripts/clients

.PHONY: clean
clean: ## Remove what was made, the environment included
	rm -rf .venv .venv-clients examples/clients/node/node_modules build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
