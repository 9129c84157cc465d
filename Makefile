# Entry points for people and CI. `make` prints what there is.
#
# Everything that takes long lies in a cache folder outside the checkout: RocksDB's archive (20 minutes on two
# cores), which is built once and linked into every profile, and cargo's target folder.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

KEELSON_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/keelson

export CARGO_TARGET_DIR := $(KEELSON_CACHE)/target
ROCKSDB_VERSION := $(shell awk '/^name = "librocksdb-sys"$$/ { getline; gsub(/"/, "", $$3); print $$3 }' Cargo.lock)
export ROCKSDB_LIB_DIR := $(KEELSON_CACHE)/rocksdb-$(ROCKSDB_VERSION)
export ROCKSDB_STATIC := 1

# CI builds exactly what Cargo.lock says; while working, adding a dependency may change it.
LOCKED := $(if $(CI),--locked)

export KEELSON_BIN := $(CARGO_TARGET_DIR)/release/keelson

.PHONY: help deps rocksdb build dist up down status clean test lint bench jepsen prove fuzz fmt

help: ## Print this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

deps: ## Install what is missing from Debian's packages.
	@deploy/dev/deps.sh

rocksdb: deps ## Build RocksDB's archive into the cache folder, once.
	@deploy/dev/rocksdb.sh

build: rocksdb ## Build the release binary.
	cargo build $(LOCKED) --release --package keelson

dist: rocksdb ## Build the binary to ship: optimized across crates, which takes three times as long.
	cargo build $(LOCKED) --profile dist --package keelson

up: build ## Start three servers and a node on this machine, or restart what died.
	@deploy/dev/cluster.sh up

down: ## Stop what `make up` started.
	@deploy/dev/cluster.sh down

status: ## Print servers, leaders and nodes, and what is not well.
	@deploy/dev/cluster.sh status

clean: down ## Stop it and remove its data, certificates and logs (var/).
	rm -rf var

lint: rocksdb ## Check format, lints and the project's own rules.
	cargo fmt --all --check
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
	cargo $(LOCKED) xtask tidy

test: lint ## Run all checks and all tests.
	cargo test $(LOCKED) --workspace

bench: dist ## Measure the store beside etcd, the API servers, and pods on the node of `make up`.
	cargo run $(LOCKED) --release --quiet --package keelson-bench -- --binary $(CARGO_TARGET_DIR)/dist/keelson \
		$(if $(wildcard var/run/node-1.pid),--kubeconfig var/admin.kubeconfig)

jepsen: build ## Break a store of three real processes for 40 s, as root, and say whether it kept its promises.
	cargo build $(LOCKED) --release --package keelson-jepsen
	$(CARGO_TARGET_DIR)/release/keelson-jepsen run --workload revisions --faults kill,pause,partition --time 40

fuzz: ## Let libFuzzer look for input that breaks the API's or the store's promises, if cargo-fuzz and nightly are there.
	@deploy/dev/fuzz.sh

prove: rocksdb ## Prove the store anew, for 10 minutes: simulation, known bugs that must be found, real faults.
	cargo test $(LOCKED) --workspace --no-run --quiet
	@deploy/dev/prove.sh $(CARGO_TARGET_DIR)/debug

fmt: ## Format the sources.
	cargo fmt --all
