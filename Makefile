# Everything a fresh machine needs: `make demo` and `make test`.  Both create .venv on first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
# Libraries that cannot share an environment with the others: see tests/libraries/constraints.txt.
LIBRARIES := .venv-libraries

.PHONY: demo test lint lit unit conformance-slice conformance conformance-whole conformance-gpu symbolic-sweep models libraries libraries-survey models-gpu gpu-programs test-gpu ops-gpu wheel mutation bench bench-gpu clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip -c constraints.txt
	# torch first and pinned: a range would be resolved to a build with gigabytes of GPU libraries.
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet -c constraints.txt torch==2.13.0 -e '.[all,test]'
	touch $@

$(LIBRARIES)/.installed: pyproject.toml constraints.txt tests/libraries/constraints.txt
	$(PYTHON) -m venv $(LIBRARIES)
	$(LIBRARIES)/bin/pip install --quiet torch==2.13.0
	$(LIBRARIES)/bin/pip install --quiet --no-deps torchvision==0.28.0
	$(LIBRARIES)/bin/pip install --quiet --no-deps -c tests/libraries/constraints.txt timm
	$(LIBRARIES)/bin/pip install --quiet -c constraints.txt -c tests/libraries/constraints.txt torch==2.13.0 \
	  -e '.[compile,torch]' pytest pytest-xdist transformers diffusers pillow pyyaml
	touch $@

demo: $(STAMP)  ## export a ResNet-18, compile it, run it, compare it with eager, print stages and times
	$(BIN)/python examples/resnet18.py

test: lint lit unit conformance-slice models gpu-programs wheel  ## every test of the project

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lit: $(STAMP)  ## every lit test, against the installed package
	$(BIN)/lit -j$(WORKERS) --order=smart tests/lit -v

unit: $(STAMP)
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -q tests/unit

conformance-slice: $(STAMP)  ## a part of the conformance run, another one with each commit
	$(BIN)/pytest -q tests/conformance

# DTYPES, OPS, SAMPLES (of each op, 0 for all), SEED choose; ARGS=--record puts what is refused into the list.
conformance: $(STAMP)  ## torch's OpInfo database, every op and dtype, and docs/conformance.md (under 40 minutes)
	PYTHONPATH=tests/conformance $(BIN)/python -m conformance --write $(ARGS)

conformance-whole: export SAMPLES = 0
conformance-whole: conformance  ## the same with every sample of every dtype (half an hour)

conformance-gpu: $(STAMP)  ## the same on the simulated GPU: one sample of every op and dtype (about 6 minutes)
	PYTHONPATH=tests/conformance TARGET=cuda:sm_90a DEVICE=sim SAMPLES=$(or $(SAMPLES),1) \
	  $(BIN)/python -m conformance --write $(ARGS)

symbolic-sweep: $(STAMP)  ## every converter with symbolic sizes: larger, odd, one and zero (slow; unit takes an eighth)
	SYMBOLIC=all $(BIN)/pytest -n $(WORKERS) -q tests/unit/ops/test_symbolic_sizes.py

models: $(STAMP)  ## whole models against eager
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -q tests/models -m "not long"

libraries: $(LIBRARIES)/.installed  ## architectures of transformers, diffusers and timm against eager (slow)
	$(LIBRARIES)/bin/pytest -n $(WORKERS) --dist worksteal -q tests/libraries

# NAMES chooses; ARGS=--resume leaves out what has a verdict.
libraries-survey: $(LIBRARIES)/.installed  ## many more of them, and docs/libraries.md (hours)
	PYTHONPATH=tests/libraries $(LIBRARIES)/bin/python -m architectures $(NAMES) $(ARGS)

models-gpu: $(STAMP)  ## whole models on the simulated GPU, strictly too, and assembled for all GPUs (about an hour)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -q tests/models/test_models_gpu.py

gpu-programs: $(STAMP)  ## every kind of GPU kernel, on the simulated GPU
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -q tests/gpu --device=sim

test-gpu: $(STAMP)  ## the same, with whole models, streams and graphs, on the GPU of this machine
	$(BIN)/pytest -q tests/gpu --device=cuda

OPS_DEVICE ?= sim
ops-gpu: $(STAMP)  ## every op test on the simulated GPU, or on OPS_DEVICE=cuda or sim:strict (slow: tens of minutes)
	STEPWELL_TEST_DEVICE=$(OPS_DEVICE) $(BIN)/pytest -n $(WORKERS) --dist loadfile -q tests/unit/ops

wheel: $(STAMP)  ## build a wheel, install it elsewhere, run lit against it from an empty directory
	$(BIN)/python scripts/check_wheel.py

mutation: $(STAMP)  ## judge every mutant of the GPU kernels, and write docs/mutation.md (about an hour)
	$(BIN)/python tests/unit/runtime/simulator/mutation/mutation_table.py

bench: $(STAMP)  ## speed of models and ops against eager and of importing, written to benchmarks/results
	$(BIN)/python benchmarks/models_cpu.py
	$(BIN)/python benchmarks/ops_cpu.py
	$(BIN)/python benchmarks/import_speed.py

bench-gpu: $(STAMP)  ## speed on a GPU against torch, written to benchmarks/results
	$(BIN)/python -m benchmarks.gpu

clean:
	rm -rf $(VENV) $(LIBRARIES) build dist *.egg-info
