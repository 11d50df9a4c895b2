# `make demo` and `make test` are all the set-up there is: each makes .venv and installs what it needs.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: venv demo test check protos faults bench offline clean

venv: $(STAMP) ## Make .venv with everything, at the exact versions of constraints.txt

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "EdgeFed needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: venv ## Federate three solar-cell plants on this machine and open the report's path
	$(BIN)/edgefed demo anomaly

test: venv ## The whole suite
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

check: venv ## Lint, format, types, floors, stub freshness, wheel contents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.stubs
	rm -rf build/wheel && $(BIN)/python -m build --quiet --wheel --outdir build/wheel .
	$(BIN)/check-wheel-contents build/wheel/*.whl

protos: venv ## Regenerate the committed stubs from protos/v1/*.proto
	$(BIN)/python -m grpc_tools.protoc -I. \
		--plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
		--python_out=. --grpc_python_out=. --mypy_out=quiet:. --mypy_grpc_out=quiet:. protos/v1/*.proto

faults: venv ## Kill anything, anywhere, and fuzz every parser: the full matrix, into build/faults.json
	$(BIN)/python -m tests.faults

bench: venv ## Ratios against the peers, into build/bench.json
	$(BIN)/python -m benchmarks

offline: venv ## Everything that an installation without a network needs, into build/offline
	sh deploy/offline/build.sh

clean: ## Remove build outputs; keeps .venv
	rm -rf build dist

help: ## This list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'
