# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Every target sets up what it needs in .venv and install/, once; a second call starts in seconds.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PYTEST_ARGS ?=

VENV := .venv
STAMPS := $(VENV)/stamps
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
TORCH := $(shell sed -n 's/^\(torch==[0-9.]*\).*/\1/p' constraints.txt)
IN_ENV := source ./env.sh;

.PHONY: help demo test docs build lint format bench clean

help:  ## print this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo: build  ## simulator and segment_node over DDS for a minute: a table, out/demo/report.json and a picture
	@$(IN_ENV) exec kpconv-ros demo

# Status 5 says that no test of a part was asked for. Two threads each, so that tests still see threads side by side.
test: build  ## every test, on all cores, those of live nodes one by one; PYTEST_ARGS="-m 'not slow'" passes options on
	@$(IN_ENV) core=0 live=0
	OMP_NUM_THREADS=2 python -m pytest --live=none -n auto --dist=loadfile --no-loadscope-reorder $(PYTEST_ARGS) || core=$$?
	python -m pytest --live=only $(PYTEST_ARGS) || live=$$?
	if [ $$core = 5 ]; then exit $$live; elif [ $$live = 5 ]; then exit $$core; fi
	exit $$((core || live))

bench: build  ## every benchmark, as ratios to its peer; rows in out/bench/*.json
	@$(IN_ENV) exec python -m benchmarks

docs: build  ## the tables of docs/ from the code, then its pages as HTML in out/docs/index.html; a warning is an error
	@$(IN_ENV) python docs/generate
	python -m sphinx -W --keep-going -q -b html docs out/docs

lint: $(STAMPS)/pip  ## ruff and mypy --strict
	@failed=0
	$(VENV)/bin/ruff check . || failed=1
	$(VENV)/bin/ruff format --check . || failed=1
	$(VENV)/bin/mypy || failed=1
	exit $$failed

format: $(STAMPS)/pip  ## let ruff lay out and repair what it can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

build: install/.stamp $(VENV)/bin/kpconv-ros  ## the venv, and the package with its messages by colcon

clean:  ## remove what build made; the venv stays (rm -r .venv for that too)
	rm -rf build install log out .mypy_cache .pytest_cache .ruff_cache $(VENV)/bin/kpconv-ros

# --- Python packages

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 13) or sys.exit("Python 3.10-3.13 needed, got %d.%d: make PYTHON=..." % v)'
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	mkdir -p $(STAMPS)
	touch $@

# Open3D loads libusb; the messages need cmake and compilers.
$(STAMPS)/system: | $(STAMPS)/venv
	@missing=""
	PATH=$$PATH:/sbin ldconfig -p 2>/dev/null | grep 'libusb-1\.0\.so\.0' >/dev/null || missing+=" libusb-1.0-0"
	command -v cmake >/dev/null || missing+=" cmake"
	command -v g++ >/dev/null || missing+=" g++"
	if [ -n "$$missing" ]; then
	  if [ "$$(id -u)" = 0 ]; then sudo=""; else sudo="sudo -n"; fi
	  { $$sudo apt-get update -qq && $$sudo apt-get install -y -qq $$missing; } \
	    || echo "NOTE: could not install$$missing; please run: sudo apt-get install$$missing" >&2
	fi
	touch $@

# Without a GPU the CPU build of torch: from pip's own sources, else from TORCH_INDEX, else what PyPI has.
$(STAMPS)/torch: constraints.txt | $(STAMPS)/venv
	@echo "installing $(TORCH)"
	if command -v nvidia-smi >/dev/null; then
	  $(PIP) install -q -c constraints.txt $(TORCH)
	else
	  $(PIP) install -q -c constraints.txt $(TORCH)+cpu 2>/dev/null \
	    || $(PIP) install -q --retries 0 --timeout 20 -c constraints.txt --extra-index-url $(TORCH_INDEX) $(TORCH)+cpu 2>/dev/null \
	    || $(PIP) install -q -c constraints.txt $(TORCH)
	fi
	touch $@

$(STAMPS)/pip: requirements.txt requirements-train.txt requirements-evaluation.txt requirements-ros.txt requirements-docs.txt requirements-dev.txt constraints.txt $(STAMPS)/torch | $(STAMPS)/system
	@echo "installing Python packages and the ROS 2 wheels"
	$(PIP) install -q -c constraints.txt -r requirements.txt -r requirements-train.txt -r requirements-evaluation.txt -r requirements-ros.txt -r requirements-docs.txt -r requirements-dev.txt
	touch $@

# --- the package: built again when the interfaces, the build files or the list of files change; edits are live

INSTALLED := kpconv_ros launch config models scripts

build/sources.txt: FORCE
	@mkdir -p build
	@find $(INSTALLED) -type f -not -path '*/__pycache__/*' | LC_ALL=C sort > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

install/.stamp: build/sources.txt CMakeLists.txt package.xml $(wildcard cmake/* msg/* srv/*) $(STAMPS)/pip
	@$(IN_ENV) colcon --log-base log build --paths . --symlink-install \
	  --cmake-args -DCMAKE_BUILD_TYPE=Release -DPython3_EXECUTABLE="$$VIRTUAL_ENV/bin/python"
	touch $@

$(VENV)/bin/kpconv-ros: Makefile | $(STAMPS)/pip
	@printf '%s\n' '#!/bin/bash' 'source "$(CURDIR)/env.sh"' 'exec python -m kpconv_ros.cli "$$@"' > $@
	chmod +x $@

.PHONY: FORCE
FORCE:
