# Everything there is to run. `make demo` and `make test` install what they need first.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: demo test test-all check fuzz kill bench clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("asd needs Python 3.11 or newer, not " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP)   ## install, then the main job from data to a checked submission on synthetic demo data
	PATH="$(abspath $(BIN)):$$PATH" sh bench/demo.sh

test: $(STAMP)   ## install, then run the tests but for the slow ones
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-all: $(STAMP)   ## install, then run every test
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(STAMP)  ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(STAMP)  ## one table of figures, each beside its reference, in a few minutes; bench/README.md has more
	OMP_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python bench/all.py

MINUTES ?= 10
fuzz: $(STAMP)   ## damaged sound, labels and state for MINUTES (10); prints counts and its seed
	PYTHONPATH=. $(BIN)/python bench/fuzz.py $(MINUTES)

kill: $(STAMP)   ## runs of asd killed at random moments for MINUTES (10); prints counts and its seed
	PYTHONPATH=. $(BIN)/python bench/kill.py $(MINUTES)

clean:
	rm -rf .venv build *.egg-info
