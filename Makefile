# A thin door over the CMake presets: `make help` lists what it opens.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.PHONY: help deps build run test lint fuzz bench soak cross rollout package clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

deps: ## install the Debian packages that building and testing need
	@scripts/deps.sh

build: deps ## build the programs into build/release/bin
	@cmake --preset release >/dev/null
	@cmake --build --preset release

run: build ## server, agent and recorded telemetry on this machine; ONCE=1 verifies and exits
	@scripts/run.sh

test: deps ## build and run every test that needs no special rights
	@scripts/test.sh

lint: deps ## formatting, layering, static analysis, shell scripts
	@scripts/lint.sh

fuzz: deps ## fuzz every decoder of outside bytes, SECONDS_EACH=60 each
	@scripts/fuzz.sh

bench: build ## measure, as ratios against a limit or a peer in the same run
	@bench/run.sh

soak: build ## kill -9 and outage rounds by the hundred
	@scripts/soak.sh

package: build ## packages into build/packages
	@packaging/build.sh

cross: deps ## what runs on Windows built and tested under Wine, what runs on a Mac compiled
	@scripts/cross.sh

rollout: deps ## what a release should have seen, as root: a bare Debian, dnf, Ansible, arm64
	@scripts/rollout.sh

clean: ## remove what was built
	@rm -rf build
