#!/usr/bin/env bash
# Runs the tests behind daprd against older versions of it, and Dapr's own conformance tests against our sockets.
# PENSTOCK_BINARY is the binary that both run.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools="${XDG_CACHE_HOME:-$HOME/.cache}/penstock/tools"

for version in 1.16.0 1.14.4; do
    daprd="$(tests/tools/install.sh "daprd-$version")"
    echo "behind daprd $version" >&2
    PENSTOCK_DAPRD="$daprd" "${CARGO:-cargo}" test --locked --test it -- dapr:: workloads:: supervised::
done

echo "Dapr's conformance tests" >&2
nats="$(echo "$tools"/nats-server-*[0-9])"
kafka="$(echo "$tools"/kafka-*[0-9])"
(cd tests/tools/conformance && GONOSUMDB='github.com/dapr/*' CGO_ENABLED=0 NATS_SERVER="$nats" KAFKA="$kafka" go test -count=1 ./...)
