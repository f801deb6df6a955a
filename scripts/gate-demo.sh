#!/bin/bash
# The whole chain with certificates alone: two people sign, an engine and a Deployment get only what both have signed.
# Usage: gate-demo.sh [--exit] [--dir DIRECTORY]
#   --exit   end with status 0 when everything was shown, instead of leaving the daemons running
# PROFILE=debug uses a debug build, PROGRAMS=DIRECTORY programs that are there already.
#
# It runs as root in namespaces of its own (network, mounts, processes), so that nothing of this machine's docker is touched,
# and everything that it starts ends with it.
set -euo pipefail
cd "$(dirname "$0")/.."

leave=no
directory=gate-demo
while [ $# -gt 0 ]; do
    case $1 in
        --exit) leave=yes ;;
        --dir)
            directory=${2:?"usage: gate-demo.sh [--exit] [--dir DIRECTORY]"}
            shift
            ;;
        *) echo "usage: gate-demo.sh [--exit] [--dir DIRECTORY]" >&2; exit 2 ;;
    esac
    shift
done

fail() { echo "gate-demo: $*" >&2; exit 1; }

if [ -z "${GATE_DEMO_INSIDE:-}" ]; then
    [ "$(id -u)" = 0 ] || fail "an engine needs root: run it with sudo"
    [ ! -e "$directory/server" ] || fail "$directory is left from another run: remove it, or name another one with --dir"
    profile=${PROFILE:-release}
    if [ -z "${PROGRAMS:-}" ]; then
        if [ "$profile" = release ]; then
            # shellcheck disable=SC2046 # a list of words
            cargo build --release --locked --package countersign-server --package countersign-signer --package countersign \
                $(scripts/openssl-features.sh)
        else
            cargo build --locked --bin countersign-server --bin countersign-signer --bin countersign
        fi
    fi
    PROGRAMS=$(realpath "${PROGRAMS:-${CARGO_TARGET_DIR:-target}/$profile}")
    mkdir -p "$directory"
    GATE_DEMO_DIRECTORY=$(cd "$directory" && pwd)
    GATE_DEMO_LEAVE=$leave
    export PROGRAMS GATE_DEMO_DIRECTORY GATE_DEMO_LEAVE GATE_DEMO_INSIDE=yes
    exec unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private scripts/gate-demo.sh
fi

# The first process of a namespace gets no signal that it does not ask for. All others end with it.
trap 'exit 130' INT TERM
directory=$GATE_DEMO_DIRECTORY
fixtures=$PWD/fixtures/gates
PATH=$PROGRAMS:$PATH
# docker uses no certificates for names that resolve to a loopback address.
host=trust.test
server_port=4443
name=$host:$server_port
cd "$directory"
ip link set lo up
ip address add 10.26.0.1/32 dev lo
mkdir -p etc-docker /etc/docker
printf '127.0.0.1 localhost\n10.26.0.1 %s\n' "$host" >hosts
mount --bind hosts /etc/hosts
mount --bind etc-docker /etc/docker

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
command_line() {
    who=$1
    shift
    printf '\033[36m%s$ %s\033[0m\n' "$who" "$*"
}
# as USER COMMAND...: a command of somebody whose bundle is the only login
as() {
    command_line "$@"
    user=$1
    shift
    env HOME="$directory/home-$user" DOCKER_CONFIG="$directory/home-$user/.docker" DOCKER_HOST="unix://$directory/docker.sock" \
        COUNTERSIGN_PASSPHRASE="the passphrase of $user" "$@"
}
# refused REASON COMMAND...: a command that fails, and says why
refused() {
    reason=$1
    shift
    if told=$("$@" 2>&1); then
        echo "$told"
        fail "that was not refused"
    fi
    echo "$told"
    case $told in *"$reason"*) ;; *) fail "it was refused without naming $reason" ;; esac
}
# start NAME PROBE COMMAND...: starts a daemon, and waits until the probe succeeds
start() {
    daemon=$1 probe=$2
    shift 2
    "$@" >>"$daemon.log" 2>&1 &
    pid=$!
    for _ in $(seq 600); do
        if (eval "$probe") >/dev/null 2>&1; then
            printf -v "$daemon" %s "$pid"
            echo "$daemon runs (log $directory/$daemon.log)"
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 5 "$daemon.log" >&2
    fail "$daemon did not start"
}
listens() { echo "exec 3<>/dev/tcp/$1/$2"; }

title "A development PKI, both configurations, a registry behind the server, and a certificate for each who takes part"
countersign-server quickstart --registry --dir . --host "$host" --listen 0.0.0.0 --server-port "$server_port" \
    --signer-port 7899 --registry-port 5000 --user alice --user bob --user engine --user api-server >quickstart.log
echo "made by countersign-server quickstart (see $directory/quickstart.log)"
# Two changes, as an operator would make them: bob may sign what is alice's, and the registry itself hands out everything,
# because here the gates are to decide.
jq --arg name "$name" 'del(.registry.enforce) | .policy += [{
    "name": "bob signs what is of alice", "effect": "allow", "principals": ["bob"], "actions": ["push"],
    "guns": ["alice/*", ($name + "/alice/*")]
}]' server/config.json >changed.json
mv changed.json server/config.json
countersign-server check-config --config server/config.json

title "Signer, registry, trust server, and an engine with its own certificate"
# shellcheck disable=SC1091
. signer/env.sh
start signer "$(listens 127.0.0.1 7899)" countersign-signer --config signer/config.json
start registry "$(listens 127.0.0.1 5000)" docker-registry serve registry/config.yml
start server "$(listens "$host" "$server_port")" countersign-server --config server/config.json
mkdir -p etc-docker/certs.d engine
cp -r users/engine/certs.d/. etc-docker/certs.d/
echo '{}' >engine/daemon.json
start engine "DOCKER_HOST=unix://$directory/docker.sock docker version" dockerd --data-root "$directory/engine/data" --exec-root "$directory/engine/exec" \
    --pidfile "$directory/engine/pid" --host "unix://$directory/docker.sock" --config-file "$directory/engine/daemon.json" \
    --bridge=none --iptables=false --ip-masq=false --storage-driver=vfs
for user in alice bob; do
    mkdir -p "home-$user/.docker"
    cp -r "users/$user/docker/." "home-$user/.docker/"
done
app=$name/alice/app
# make IMAGE TEXT: an image that prints a text, made of this machine's shell and pushed by alice
make() {
    mkdir -p image
    echo "$2" >image/content
    # shellcheck disable=SC2046 # a list of files
    tar --create --dereference --file image.tar --directory image content --directory / bin/cat \
        $(ldd /bin/cat | grep -o '/[^ :]* (' | cut -d ' ' -f 1 | sort -u | cut -c 2-)
    as alice docker import --change 'CMD ["cat", "/content"]' image.tar "$1" >/dev/null
    cp -r users/alice/certs.d/. etc-docker/certs.d/
    as alice docker push --quiet "$1"
    cp -r users/engine/certs.d/. etc-docker/certs.d/
}
make "$app:1.0" "release 1.0 runs"
make "$app:half" "only alice has signed this"
make "$app:unsigned" "nobody has signed this"
make "$app:2.0" "release 2.0 runs"

title "alice makes the repository, and lets bob and herself sign in it"
as alice countersign init "$app" 2>&1 | tee init.log
root_key=$(sed -n 's/.* begins with the root key \([0-9a-f]*\).*/\1/p' init.log)
for user in alice bob; do
    as "$user" countersign key generate "$user" --dir "$directory"
done
as alice countersign signer add alice "$app" "$directory/alice.pub"
as alice countersign signer add bob "$app" "$directory/bob.pub"

title "Both sign release 1.0, each with the own certificate and key; alice alone signs another one"
as alice countersign sign "$app:1.0" --from-registry --as alice
as bob countersign sign "$app:1.0" --from-registry --root-key "$root_key"
as alice countersign sign "$app:half" --from-registry --as alice
as alice countersign inspect "$app"

title "The policy of the gates: whatever runs from $name/alice has to be signed by alice and by bob"
tee policy.yaml <<END
version: 1
servers:
  - { match: "**", url: "https://$name", ca: users/engine/ca.pem, cert: users/engine/cert.pem, key: users/engine/key.pem }
anchors:
  prod: { root_keys: ["$root_key"] }
signers:
  alice: { keys: ["@alice.pub"] }
  bob:   { keys: ["@bob.pub"] }
rules:
  - { match: "$name/alice/**", anchor: prod, require: { signers: [alice, bob] }, max_staleness: 1h }
END
countersign policy check policy.yaml

title "The gate: authorization plugin of the engine, and admission webhook that only the API server's certificate reaches"
start gate "curl -sf http://127.0.0.1:8081/ready" countersign gate serve --policy policy.yaml --state state --audit audit.jsonl \
    --docker-plugin "$directory/plugin.sock" --engine "$directory/docker.sock" \
    --listen 0.0.0.0:8443 --tls-cert pki/server.pem --tls-key pki/server-key.pem --client-ca pki/ca.pem --health 127.0.0.1:8081
mkdir -p etc-docker/plugins
echo "unix://$directory/plugin.sock" >etc-docker/plugins/countersign.spec
echo '{"authorization-plugins": ["countersign"]}' >engine/daemon.json
kill -HUP "$(cat engine/pid)"
for _ in $(seq 100); do
    # The engine asks its plugin as soon as it has read its configuration.
    told=$(DOCKER_HOST="unix://$directory/docker.sock" docker commit nothing 2>&1) || true
    case $told in *"denied by plugin"*) break ;; esac
    sleep 0.1
done
case $told in *"denied by plugin"*) ;; *) fail "the engine does not ask its plugin: $told" ;; esac

title "What both have signed runs"
runs() {
    printed=$(as alice docker run --rm --network=none "$1" 2>run.log) || { cat run.log >&2; fail "$1 does not run"; }
    echo "$printed"
    case $printed in *"$2"*) ;; *) fail "$1 ran and printed something else" ;; esac
}
runs "$app:1.0" "release 1.0 runs"

title "What nobody signed, what only alice signed, and what was only named so do not run"
refused tag_not_signed as alice docker run --rm --network=none "$app:unsigned"
refused signer_missing as alice docker run --rm --network=none "$app:half"
as alice docker tag "$app:unsigned" "$app:1.0"
refused other_content as alice docker run --rm --network=none "$app:1.0"
as alice docker pull --quiet "$app:1.0"
mkdir -p context
echo "FROM scratch" >context/Dockerfile
refused "denied: build" as alice env DOCKER_BUILDKIT=0 docker build context

title "A Deployment comes back with the digest, and an unsigned one does not come in"
api_server=users/api-server
# admit IMAGE: what the webhook answers about a Deployment, whose pods are that of a request that a real API server sent
admit() {
    jq --arg image "$1" '.body | .request.object.spec.containers[0].image = $image
        | (.request.kind, .request.requestKind) = {group: "apps", version: "v1", kind: "Deployment"}
        | (.request.resource, .request.requestResource) = {group: "apps", version: "v1", resource: "deployments"}
        | .request.object = {apiVersion: "apps/v1", kind: "Deployment", metadata: {name: "app", namespace: "prod"}, spec: {
            replicas: 2, selector: {matchLabels: {app: "app"}},
            template: {metadata: {labels: {app: "app"}}, spec: .request.object.spec}}}' \
        "$fixtures/mutate-pod-create.request.json" |
        curl -sS --cacert pki/ca.pem --cert $api_server/cert.pem --key $api_server/key.pem -H 'Content-Type: application/json' \
            --data-binary @- "https://$host:8443/admission/v1/mutate"
}
admit "$app:1.0" | tee answer.json | jq -r '.response.patch | @base64d'
pinned=$(jq -r '.response.patch | @base64d | fromjson[0].value' answer.json)
case $pinned in "$app:1.0@sha256:"*) ;; *) fail "no digest was written: $pinned" ;; esac
admit "$app:unsigned" | tee answer.json | jq -r '.response.status.message'
[ "$(jq .response.allowed answer.json)" = false ] || fail "an unsigned Deployment was let in"
if curl -sS --cacert pki/ca.pem "https://$host:8443/health" 2>&1; then fail "the gate answered without a certificate"; fi

title "alice rotates the root key; release 2.0 is signed as before, and the gates follow"
as alice countersign key rotate "$app" root
as alice countersign sign "$app:2.0" --from-registry --as alice
as bob countersign sign "$app:2.0" --from-registry
runs "$app:2.0" "release 2.0 runs"

title "The trust server stops: what was verified decides on, and nothing that was not"
kill "$server"
wait "$server" || true
runs "$app:1.0" "release 1.0 runs"
admit "$app:2.0" | jq -r '.response.patch | @base64d'
admit "$name/alice/other:1.0" | tee answer.json | jq -r '.response.status.message'
grep -q server_unreachable answer.json || fail "a repository that was never seen was not refused for the right reason"

title "Who decided what: the gate's audit"
jq -r 'select(.event == "decision") | [.time, .skin, .image, .verdict, .reason] | @tsv' audit.jsonl | tail -n 5

title "Done"
cat <<END
Nobody has typed a password: certificates are the logins of alice, bob, the engine and the API server.
The policy is $directory/policy.yaml, the audit $directory/audit.jsonl; docs/gates.md says how to set each of these up.
END
if [ "$GATE_DEMO_LEAVE" = yes ]; then
    exit 0
fi
cat <<END
Engine and gate run until Ctrl-C; on another terminal:
  nsenter --target $$ --mount --net --pid env DOCKER_HOST=unix://$directory/docker.sock docker run --rm --network=none $app:1.0
END
wait -n
fail "a daemon ended by itself; see the logs in $directory"
