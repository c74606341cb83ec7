# Every task of the project; each sets up what it needs.
#
#   make demo       cut recorded traffic of real software, then talk over loopback
#   make test       the test suite, C unit tests included      make test-slow  the same and whole-package builds
#   make faults     peers that die in network namespaces: needs root, iproute2 and iptables, says what it skipped
#   make exhaustive every cut of every stream of up to 16 bytes, all pairs of cuts of longer ones, long random runs
#   make test-all   the suite on every CPython found, and on a pure build
#   make bench      the benchmarks beside their goals
#   make lint       ruff, cython-lint, cython -Werror          make types      mypy, pyright, stubtest
#   make ctest      the C core alone, under sanitizers         make san        the suite, extension under sanitizers
#   make wheel      sdist, native and pure wheel, each tested  make clean
#
# PYTHON=python3.12 chooses the interpreter, VENV=DIR the environment, PYTEST=OPTIONS adds options to pytest
# (-n 0: one process, in place of three for two cores), BENCH=OPTIONS to the benchmarks, WHEEL_TESTS=FILES chooses.

PYTHON ?= python3
VENV ?= .venv
PYTEST ?=
WHEEL_TESTS ?= tests
BENCH ?=
PIP := -m pip -qq --disable-pip-version-check
BIN := $(VENV)/bin
PY := $(BIN)/python
SUITE := -n auto --dist worksteal -m 'not slow and not faults' $(PYTEST)

BUILD_TOOLS := 'setuptools>=77' 'cython>=3.2,<4'
PYX := $(wildcard src/framewire/_native/*.pyx)
STUBS := $(wildcard src/framewire/_native/*.pyi)
SOURCES := pyproject.toml setup.py $(PYX) $(wildcard src/framewire/_native/*.p*d csrc/*.[ch])

# A machine without a compiler.
PURE := FRAMEWIRE_BUILD_EXTENSION=auto CC=/bin/false

# "VERSION PYTHON", one line for each CPython 3.10 or later that runs here and can make environments.
define FIND_PYTHONS
for python in $(PYTHON) python3.10 python3.11 python3.12 python3.13 python3.14 \
    "$$HOME"/.pyenv/versions/*/bin/python; do \
  "$$python" -c 'import ensurepip, sys; v = sys.version_info; \
    sys.implementation.name == "cpython" and v >= (3, 10) \
    and print("%d.%d%s" % (*v[:2], sys.abiflags), sys.executable)' 2>/dev/null; \
done | sort -u -V -k1,1
endef

.PHONY: demo test test-slow faults exhaustive test-all test-others test-pure bench lint types ctest san wheel clean

$(VENV)/ready: $(SOURCES)
	@echo "== setting up $(VENV)"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) $(PIP) install $(BUILD_TOOLS)
	@$(PY) $(PIP) install --no-build-isolation --editable '.[test,examples]'
	-@$(PY) -c 'from framewire import _backend as b; print("== framewire runs on its", b.name, "backend")'
	@touch $@

# Only for what the extra requires: `no` leaves the extension that stands there alone.
$(VENV)/ready-bench $(VENV)/ready-lint: $(VENV)/ready-%: pyproject.toml | $(VENV)/ready
	@FRAMEWIRE_BUILD_EXTENSION=no $(PY) $(PIP) install --no-build-isolation --editable '.[$*]'
	@touch $@

demo: $(VENV)/ready
	$(BIN)/framewire demo

test: $(VENV)/ready
	$(PY) -m pytest $(SUITE)

test-slow: $(VENV)/ready
	$(PY) -m pytest $(SUITE) -m 'not faults'

faults: $(VENV)/ready
	$(PY) -m pytest -m faults -rs --durations=5 $(PYTEST) tests/test_dead_peers.py

exhaustive: $(VENV)/ready
	FRAMEWIRE_TEST=full $(PY) -m pytest $(SUITE) --timeout=900 \
	  tests/test_decoder.py tests/test_equal.py tests/test_conformance.py

test-all: test-others test-pure test

# The CPythons other than $(PYTHON).
test-others:
	@main=$$($(PYTHON) -c 'import sys; print("%d.%d%s" % (*sys.version_info[:2], sys.abiflags))'); \
	$(FIND_PYTHONS) | { \
	  failed=; \
	  while read -r version python; do \
	    test "$$version" = "$$main" && continue; \
	    echo "== CPython $$version"; \
	    $(MAKE) test PYTHON="$$python" VENV=".venv-$$version" </dev/null || failed="$$failed $$version"; \
	  done; \
	  test -z "$$failed" || { echo "== failed on CPython$$failed"; exit 1; }; \
	}

# Not editable: the checkout may hold a compiled extension.
test-pure:
	@test -x .venv-pure/bin/python || $(PYTHON) -m venv .venv-pure
	@rm -rf build
	@.venv-pure/bin/python $(PIP) install $(BUILD_TOOLS)
	@$(PURE) .venv-pure/bin/python $(PIP) install --no-build-isolation --force-reinstall '.[test]'
	FRAMEWIRE_BACKEND=pure .venv-pure/bin/python -m pytest $(SUITE) tests

bench: $(VENV)/ready $(VENV)/ready-bench
	$(PY) -m bench $(BENCH)

lint: $(VENV)/ready-lint
	$(BIN)/ruff check setup.py src tests bench examples
	$(BIN)/ruff format --check setup.py src tests bench examples
	PATH="$(abspath $(BIN)):$$PATH" cython-lint $(PYX)
	@mkdir -p build/lint
	@for file in $(PYX); do \
	  echo "cython -Werror $$file"; \
	  $(BIN)/cython -Werror -3 -X warn.maybe_uninitialized=True \
	    -I csrc -I src -o build/lint/"$$(basename "$$file" .pyx)".c "$$file" || exit 1; \
	done

types: $(VENV)/ready $(VENV)/ready-lint
	$(PY) -m mypy
	$(PY) -m pyright --pythonpath $(PY)
	$(PY) -m mypy.stubtest $(patsubst src/framewire/_native/%.pyi,framewire._native.%,$(STUBS))

ctest:
	$(MAKE) -C csrc/tests check

# Python itself is not built with the sanitizers, so they are loaded before it; its own allocator would hide
# overruns of bytes objects, and what it keeps until the end is no leak of ours. pytest must not capture the
# descriptor that a report is written to. What runs no C of ours, or runs it in children, is left out.
san:
	@test -x .venv-san/bin/python || $(PYTHON) -m venv .venv-san
	@rm -rf build
	@.venv-san/bin/python $(PIP) install $(BUILD_TOOLS)
	@FRAMEWIRE_BUILD_EXTENSION=yes FRAMEWIRE_SANITIZE=1 \
	  .venv-san/bin/python $(PIP) install --no-build-isolation --force-reinstall '.[test]'
	FRAMEWIRE_BACKEND=native PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	  LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	  .venv-san/bin/python -m pytest $(SUITE) --backend=native --capture=sys tests \
	  $(addprefix --ignore=tests/test_,build.py csrc.py bench.py cli.py terminal.py learn.py guess.py explain.py examples.py)

# Both wheels come out of the sdist, and are tested with its tests, away from this checkout.
wheel: $(VENV)/ready
	rm -rf build dist
	mkdir -p build/sdist
	@$(PY) -c 'from setuptools import build_meta; build_meta.build_sdist("dist")' >/dev/null
	tar -xzf dist/framewire-*.tar.gz -C build/sdist --strip-components=1
	cd build/sdist && FRAMEWIRE_BUILD_EXTENSION=yes $(abspath $(PY)) $(PIP) wheel \
	  --no-build-isolation --no-deps --wheel-dir $(abspath dist) .
	cd build/sdist && FRAMEWIRE_BUILD_EXTENSION=no $(abspath $(PY)) $(PIP) wheel \
	  --no-build-isolation --no-deps --wheel-dir $(abspath dist) .
	@rm -rf build/sdist/src
	@for wheel in dist/*.whl; do \
	  echo "== $$wheel" && rm -rf build/venv && $(PYTHON) -m venv build/venv \
	  && build/venv/bin/python $(PIP) install "framewire[test] @ file://$$PWD/$$wheel" \
	  && (cd build/sdist && ../venv/bin/python -m pytest $(SUITE) -q $(WHEEL_TESTS) \
	      --ignore=tests/test_build.py --ignore=tests/test_floorplan.py --ignore=tests/test_csrc.py) || exit 1; \
	done
	@ls -l dist

clean:
	rm -rf build dist .venv .venv-* src/*.egg-info src/framewire/_native/*.so .coverage* .hypothesis .benchmarks
	rm -rf .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	if test -f csrc/tests/Makefile; then $(MAKE) -C csrc/tests clean; fi
