# The commands of this project. CI calls only these.

CARGO ?= cargo
# Where built artefacts go; CI points it at a cache.
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: run test tools lint bench compat deny
.DEFAULT_GOAL := run

## run: build the release binary and start the quickstart
run:
	$(CARGO) build --release --locked
	$(TARGET)/release/penstock run -f examples/quickstart --show-data

## test: everything that must hold, benches on tiny input included
test: tools
	$(CARGO) build --release --locked
	$(CARGO) test --locked --lib --bins --test tidy --benches
	PENSTOCK_BINARY="$$(realpath $(TARGET))/release/penstock" CARGO="$(CARGO)" tests/tools/whole.sh

## tools: the real servers that the tests run against, built once into the user's cache
tools:
	tests/tools/install.sh

## lint: formatting and clippy, warnings are errors
lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

## bench: the figures, as ratios measured in one run; those behind Dapr beside all of daprd's own components
bench: tools
	PENSTOCK_DAPRD="$$(tests/tools/install.sh daprd-all)" PENSTOCK_PEERS="$$(tests/tools/install.sh peers)" $(CARGO) bench --locked

## compat: the tests behind older daprds, and Dapr's conformance tests; builds two more daprds (about 15 minutes, once)
compat: tools
	$(CARGO) build --release --locked
	PENSTOCK_BINARY="$$(realpath $(TARGET))/release/penstock" tests/tools/compat.sh

## deny: licences, advisories, duplicate crates
deny:
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked --version 0.20.2 cargo-deny
	$(CARGO) deny check
