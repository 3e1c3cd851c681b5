# `make run` serves, `make test` tests. Needs Python 3.11 or newer with venv; everything else comes from the package index.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { command -v "$$python"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
# uv reads no pip.conf: where it cannot reach an index, pip has its turn.
install_locked = { test -x $(BIN)/uv && $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r $(1) 2>$(VENV)/uv.log; } \
	|| $(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r $(1)
compile = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links --upgrade
# Where it is set, each of the processes that tests start compiles all it imports anew: four seconds for a server.
unexport PYTHONDONTWRITEBYTECODE
GRAPHIQL := $(VENV)/.graphiql
build_graphiql = $(BIN)/python -m server.graphiql build && touch $(GRAPHIQL)
pytest = $(BIN)/python -m pytest -q -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help run install test test-slow test-differential check format graphiql schema demo example lock clean

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run ## Serve; Ctrl-C ends it
	@test $(GRAPHIQL) -nt package-lock.json \
	|| ( $(BIN)/python -m server.companion "$$$$" sh -c '$(build_graphiql)' & ); \
	exec ./modelyard serve

install: $(VENV)/.run ## Build the virtual environment

test: $(VENV)/.dev ## Run the tests that take a few minutes together
	@$(pytest) -m "not slow"

test-slow: $(VENV)/.dev ## Run the tests that take longer
	@$(pytest) -m slow

test-differential: $(VENV)/.dev ## Compare plans with graphql-core over many documents; SEED picks others
	@$(BIN)/python -m tests.differential --documents 20000 --seed "$${SEED:-7}"

check: $(VENV)/.dev ## Lint, types, layers, the schema's drift
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q . || { echo "Run make format."; exit 1; }
	@$(BIN)/mypy .
	@$(BIN)/lint-imports
	@$(BIN)/python -m gql.schema_rule schema.graphql
	@./modelyard schema | diff -u schema.graphql - || { echo "schema.graphql is not what the code says: run make schema."; exit 1; }

format: $(VENV)/.dev ## Put the code into its standard form
	@$(BIN)/ruff check -q --fix-only .
	@$(BIN)/ruff format -q .

graphiql: $(VENV)/.run ## Build the page at /graphql; make run does so by itself
	@$(build_graphiql)

schema: $(VENV)/.run ## Write schema.graphql
	@./modelyard schema > schema.graphql.new
	@mv schema.graphql.new schema.graphql

demo: $(VENV)/.dev ## Play the story against a running server: train, import, deploy, ask
	@exec $(BIN)/python -m tests.demo

example: $(VENV)/.dev ## Train the model of the README's story, into example/model
	@$(BIN)/python -m tests.example example

lock: | $(BIN)/python ## Resolve the dependencies anew, into both requirement files
	@$(compile) pyproject.toml -o requirements.txt
	@$(compile) --group dev -c requirements.txt -o requirements-dev.txt

clean: ## Remove what was built; the data directory stays
	@rm -rf $(VENV) assets/graphiql/build node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Modelyard needs Python 3.11 or newer with its venv module (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); echo "Modelyard could not build a virtual environment with $(PYTHON)." >&2; exit 1; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check uv 2>$(VENV)/uv.log || true

$(VENV)/.run: requirements.txt | $(BIN)/python
	@$(call install_locked,$<)
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	@$(call install_locked,$<)
	@touch $@
