# Everything one types twice. `make demo` and `make test` install what they need.

PYTHON ?= python3
TORCH_INDEX ?=
EXIT ?=
SCANS ?= 40

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# torch by itself and first: an index for it must not be asked for anything else.
TORCH := torch $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))

# Idle threads of torch sleep instead of spinning on the cores the tests need.
# Three processes on two cores: many tests wait for a server to start or to end.
PYTEST := OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest --numprocesses 3 --dist loadfile

.PHONY: demo test lint types layers unit system format services clean

demo: .venv/.sim
	$(BIN)/xasnn-stream demo --scans $(SCANS) $(if $(EXIT),--exit)

test: .venv/.test lint types layers
	$(PYTEST)

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.test
	$(BIN)/pyright

layers: .venv/.test
	$(BIN)/lint-imports

unit: .venv/.test
	$(PYTEST) -m "not system"

system: .venv/.test
	$(PYTEST) -m system

format: .venv/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Programs some tests start when they are installed (Debian).
services:
	apt-get install --yes chromium prometheus redis-server postgresql

.venv: .venv/.sim

.venv/.created:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	touch $@

.venv/.sim: .venv/.created pyproject.toml constraints.txt
	$(PIP) $(TORCH)
	$(PIP) --editable '.[files,sim,train]'
	touch $@

# larch, the referee, without the hundred packages its other parts need.
.venv/.test: .venv/.sim
	$(PIP) --editable '.[test]'
	$(PIP) --no-deps xraylarch
	touch $@

clean:
	rm -rf .venv build dist *.egg-info
