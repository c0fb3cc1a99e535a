# make train [ARGS="model=xor seed=1"]   make test   make torture   make lint   make benchmark   make accelerator   make studies
# make lock
# Each sets up .venv first, where it is missing or older than the lock.
ARGS ?=
PYTHON := .venv/bin/python
UV = $$(command -v uv || echo .venv/bin/uv)

.PHONY: train test torture lint benchmark accelerator studies lock
train: .venv/.installed
	@$(PYTHON) train.py $(ARGS)

test: .venv/.installed
	@OMP_NUM_THREADS=1 $(PYTHON) -m pytest --numprocesses auto --dist worksteal $(ARGS)

torture: .venv/.installed
	@$(PYTHON) scripts/torture.py $(ARGS)
	@OMP_NUM_THREADS=1 $(PYTHON) -m pytest -m slow

lint: .venv/.installed
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo

benchmark: .venv/.installed
	@$(PYTHON) scripts/benchmark.py $(ARGS)

accelerator: .venv/.installed
	@$(PYTHON) scripts/accelerator.py $(ARGS)

studies: .venv/.installed   # every table and figure of docs/ that takes long: hours on two cores, and it goes on
	@$(PYTHON) scripts/study.py all $(ARGS)

lock: .venv/.installed
	@$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-header --no-annotate \
		--extra dev pyproject.toml --output-file requirements.lock

.venv/.installed: requirements.lock pyproject.toml
	@echo "Setting up .venv (once, about 6 GB with the GPU libraries of torch on Linux)"
	@if command -v uv >/dev/null; then uv venv --quiet --allow-existing --python '>=3.11,<3.14' .venv; \
	else python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11 to 3.13 is needed, or uv")' \
		&& python3 -m venv .venv && $(PYTHON) -m pip install --quiet --disable-pip-version-check uv; fi
	@$(UV) pip install --quiet --python $(PYTHON) --compile-bytecode --require-hashes --requirement requirements.lock
	@$(UV) pip install --quiet --python $(PYTHON) --no-deps --editable .
	@touch $@
