# `make` lists the targets. You need rustup, python3 with venv, make and a C compiler; the targets
# fetch everything else. Two exceptions:
#
# - The tests need h2load (nghttp2). `make h2load` installs it as root on Debian and Ubuntu.
# - The benchmarks need nginx, HAProxy and Caddy. `make peers` fetches them on Debian and Ubuntu.
#
# ENVOY=/path/to/envoy uses that Envoy instead of the fetched one. CARGO_TARGET_DIR says where cargo
# builds.

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help setup envoy grpcio jsonschema h2load peers build wasm oci up test lint bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## add the wasm target to the Rust toolchain if it is missing
	@scripts/setup

envoy: ## fetch Envoy into target/envoy/ if it is missing
	@scripts/envoy

grpcio: ## fetch gRPC's own client into target/grpcio/ if it is missing
	@scripts/grpcio

jsonschema: ## fetch a validator of JSON Schema into target/jsonschema/ if it is missing
	@scripts/jsonschema

h2load: ## install the load generator of the tests if it is missing
	@scripts/h2load

peers: ## put nginx, HAProxy and Caddy, for the benchmarks, into target/peers/ if they are missing
	@scripts/peers

build: setup envoy ## build legation (filter embedded) and the demo upstream in release mode
	cargo build --release --package legation --package upstream

wasm: build ## write the filter alone to target/legation_filter.wasm
	$(TARGET_DIR)/release/legation filter -o $(TARGET_DIR)/legation_filter.wasm

oci: wasm ## write the filter as an OCI image to target/oci/ (an image layout), and print its digest
	@scripts/oci-layout $(TARGET_DIR)/legation_filter.wasm $(TARGET_DIR)/oci

up: build ## run the quickstart: four demo upstreams, control plane and Envoy; Ctrl-C ends it
	@scripts/up

test: setup envoy grpcio jsonschema h2load ## run all tests, with a real Envoy and with gRPC's own client
	@envoy=$$(scripts/envoy) && python=$$(scripts/grpcio) && h2load=$$(scripts/h2load) && \
		jsonschema=$$(scripts/jsonschema) && set -x && \
		ENVOY="$$envoy" GRPC_PYTHON="$$python" JSONSCHEMA_PYTHON="$$jsonschema" H2LOAD="$$h2load" cargo test --workspace

lint: setup ## check formatting, comments, clippy for the host and for wasm, scripts, licences
	@scripts/lint

bench: setup envoy h2load peers ## run the benchmarks
	cargo bench --workspace --benches
