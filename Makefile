# Everything here works on a machine with Python 3.11 or later and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAM := .venv-sam/bin/sam
MINISTACK := .venv-ministack/bin/ministack
LAMBDA := .venv-lambda/bin/python
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint infra/local/constraints.txt
export PYTHONPATH := shared:functions
include infra/layer/python313.mk

.DEFAULT_GOAL := help
.PHONY: help run engines test e2e check lint types layers template format build tools sizes coldstart bench costs key redrive rebuild-index clean

help: ## Show what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: $(VENV)/run ## Start the service on 127.0.0.1:8787 (PORT, COMMONPLACE_DATA, COMMONPLACE_API_KEY: see README.md)
	@exec $(BIN)/python infra/local

engines: $(VENV)/check ## Start OpenSearch and DynamoDB Local, without containers (needs Java 17 and Maven)
	@exec env PYTHONPATH=$(PYTHONPATH):infra/local $(BIN)/python -m engines $(ENGINES)

test: $(VENV)/check ## Run all tests, with coverage
	$(BIN)/python -m pytest --cov --numprocesses auto --dist loadgroup --no-loadscope-reorder

e2e: $(VENV)/check $(SAM) $(MINISTACK) ## Deploy template.yaml into an emulator of AWS and use it (needs Python 3.13, Java 17, Maven)
	MINISTACK=.venv-ministack/bin/python SAM=$(SAM) COMMONPLACE_TEST_ENGINES=required $(BIN)/python -m pytest -v tests/deployed

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

build: $(SAM) ## Build the layer and the functions into .aws-sam: make build ARCHITECTURE=x86_64 (needs Python 3.13)
	@$(REQUIRE_PYTHON313)
	env -u PYTHONPATH SAM_CLI_TELEMETRY=0 $(SAM) build --no-cached $(if $(ARCHITECTURE),--parameter-overrides Architecture=$(ARCHITECTURE))

tools: $(SAM) $(LAMBDA) ## Install what builds the functions and what runs them as Lambda does (needs Python 3.13)

sizes: $(VENV)/check tools ## Show how big what is deployed is, and how long each function takes to import
	PYTHONPATH=$(PYTHONPATH):infra/local:tests $(BIN)/python tests/benchmarks/sizes.py

coldstart: $(VENV)/check tools ## Show the cold starts of the functions beside a bare handler
	PYTHONPATH=$(PYTHONPATH):infra/local:tests $(BIN)/python tests/benchmarks/coldstart.py

bench: $(VENV)/check ## Measure a service of its own: make bench CONVERSATIONS=file.jsonl
	PYTHONPATH=$(PYTHONPATH):infra/local:tests $(BIN)/python tests/benchmarks/bench.py $(CONVERSATIONS)

costs: $(VENV)/run ## Show what it costs on AWS, with the arithmetic: make costs OPTIONS='5000000 --replicas 0' (OPTIONS=--help)
	@env PYTHONPATH=$(PYTHONPATH):infra/local $(BIN)/python -m costs $(OPTIONS)

key: $(VENV)/run ## Make another API key: make key NAME=ci SCOPES=read,write ORGANIZATION=org
	@$(BIN)/python -m commonplace.cli create-key --name '$(NAME)' --scopes '$(or $(SCOPES),read,write)' $(if $(ORGANIZATION),--organization '$(ORGANIZATION)')

redrive: $(VENV)/run ## Put dead messages back into their queues, to be tried again
	@$(BIN)/python -m commonplace.cli redrive

rebuild-index: $(VENV)/run ## Build the index anew from the rows, while the service runs
	@$(BIN)/python -m commonplace.cli rebuild-index

clean: ## Remove the environments (not the data)
	rm -rf $(VENV) .venv-sam .venv-lambda .venv-ministack .engines .aws-sam tests/e2e/cognipeer_client/node_modules

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

# Lambda's own runtime client, on Lambda's version of Python, and nothing else.
$(LAMBDA):
	@$(REQUIRE_PYTHON313)
	@"$(PYTHON313)" -m venv .venv-lambda
	@.venv-lambda/bin/python -m pip install --quiet --disable-pip-version-check pip==26.3
	@.venv-lambda/bin/python -m pip install --quiet --disable-pip-version-check --constraint infra/local/constraints.txt --group lambda

# MiniStack pins botocore, so it lives apart. It runs the functions by the Python that it runs on: the runtime's.
$(MINISTACK):
	@$(REQUIRE_PYTHON313)
	@"$(PYTHON313)" -m venv .venv-ministack
	@.venv-ministack/bin/python -m pip install --quiet --disable-pip-version-check ministack==1.5.33 aws-sam-translator==1.115.0
