# Everything here works on a machine with Python 3.11 or later and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAM := .venv-sam/bin/sam
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint infra/local/constraints.txt
export PYTHONPATH := shared:functions

.DEFAULT_GOAL := help
.PHONY: help run test check lint types layers template format bench key redrive clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: $(VENV)/run ## Start the service on 127.0.0.1:8787 (PORT, COMMONPLACE_DATA, COMMONPLACE_API_KEY: see README.md)
	@exec $(BIN)/python infra/local

test: $(VENV)/check ## Run all tests, with coverage
	$(BIN)/python -m pytest --cov

check: lint types layers template test ## Run every check: style, types, layers, the template, the tests

lint: $(VENV)/check
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/check
	$(BIN)/mypy

layers: $(VENV)/check
	$(BIN)/lint-imports

template: $(SAM)
	AWS_DEFAULT_REGION=eu-central-1 SAM_CLI_TELEMETRY=0 $(SAM) validate --lint

format: $(VENV)/check ## Put the code into its form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/check ## Measure a service of its own: make bench CONVERSATIONS=file.jsonl
	PYTHONPATH=$(PYTHONPATH):infra/local:tests $(BIN)/python tests/benchmarks/bench.py $(CONVERSATIONS)

key: $(VENV)/run ## Make another API key: make key NAME=ci SCOPES=read,write
	@$(BIN)/python -m commonplace.cli create-key --name '$(NAME)' --scopes '$(or $(SCOPES),read,write)'

redrive: $(VENV)/run ## Put dead messages back into their queues, to be tried again
	@$(BIN)/python -m commonplace.cli redrive

clean: ## Remove the environments (not the data)
	rm -rf $(VENV) .venv-sam

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Commonplace needs Python 3.11 or later; name one: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Making the environment (once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pip==26.3

$(VENV)/run: pyproject.toml infra/local/constraints.txt | $(BIN)/python
	@$(PIP) --group run
	@touch $@

$(VENV)/check: pyproject.toml infra/local/constraints.txt | $(BIN)/python
	@$(PIP) --group check
	@touch $@

# The SAM command line pins many libraries, so it lives apart.
$(SAM):
	@$(PYTHON) -m venv .venv-sam
	@.venv-sam/bin/python -m pip install --quiet --disable-pip-version-check aws-sam-cli==1.170.0
