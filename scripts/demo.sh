#!/bin/bash
# The main job, as a person would do it: both daemons with mutual TLS, and the real notary CLI against them.
# Usage: demo.sh [--exit] [--dir DIRECTORY]
#   --exit   end with status 0 when everything was shown, instead of leaving the daemons running
# PROFILE=debug uses a debug build, PROGRAMS=DIRECTORY programs that are there already.
set -euo pipefail
cd "$(dirname "$0")/.."

leave=no
directory=demo
while [ $# -gt 0 ]; do
    case $1 in
        --exit) leave=yes ;;
        --dir) directory=$2; shift ;;
        *) echo "usage: demo.sh [--exit] [--dir DIRECTORY]" >&2; exit 2 ;;
    esac
    shift
done

profile=${PROFILE:-release}
if [ -n "${PROGRAMS:-}" ]; then
    :
elif [ "$profile" = release ]; then
    # shellcheck disable=SC2046 # a list of words
    cargo build --release --locked --package countersign-server --package countersign-signer \
        $(scripts/openssl-features.sh)
else
    cargo build --locked --bin countersign-server --bin countersign-signer
fi
programs=${PROGRAMS:-${CARGO_TARGET_DIR:-target}/$profile}

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
show() { printf '\033[36m$ %s\033[0m\n' "$*"; "$@"; }
fail() { echo "demo: $*" >&2; exit 1; }

pids=()
stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
}
trap stop EXIT
trap 'exit 130' INT TERM

title "A development PKI, both configurations, and client bundles for alice and bob"
show "$programs/countersign-server" quickstart --dir "$directory"
directory=$(cd "$directory" && pwd)
port() { sed -n "s/.*\"$2\": \"[^\"]*:\([0-9]*\)\".*/\1/p" "$directory/$1/config.json"; }
server_port=$(port server http_addr)
signer_port=$(port signer grpc_addr)
url=https://localhost:$server_port

title "Starting the signer, then the trust server"
# start NAME PORT COMMAND...: starts a daemon and waits until it takes connections
start() {
    name=$1 at=$2
    shift 2
    if (exec 3<>"/dev/tcp/127.0.0.1/$at") 2>/dev/null; then
        fail "port $at is taken: is another demo running? (the ports are set in $directory/*/config.json)"
    fi
    "$@" >>"$directory/$name.log" 2>&1 &
    pid=$!
    pids+=("$pid")
    for _ in $(seq 100); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$at") 2>/dev/null; then
            echo "$name listens on 127.0.0.1:$at (process $pid, log $directory/$name.log)"
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 5 "$directory/$name.log" >&2
    fail "$name did not start"
}
# shellcheck disable=SC1091
. "$directory/signer/env.sh"
start signer "$signer_port" "$programs/countersign-signer" --config "$directory/signer/config.json"
start server "$server_port" "$programs/countersign-server" --config "$directory/server/config.json"

# Passphrases of the signing keys of this demo's people; a person would be asked for them.
for role in ROOT TARGETS SNAPSHOT DELEGATION; do
    export "NOTARY_${role}_PASSPHRASE=demo passphrase"
done
work=$(mktemp -d)
trap 'stop; rm -rf "$work"' EXIT
cd "$work"
gun=registry.example.com/demo/app-$(date +%Y%m%d-%H%M%S)
# as USER ARGUMENTS...: the notary CLI as that user
as() {
    user=$1
    shift
    printf '\033[36m%s$ notary %s\033[0m\n' "$user" "$*"
    notary -c "$directory/users/$user/notary/config.json" "$@"
}

title "alice makes a repository, signs something and publishes it"
as alice init "$gun"
as alice publish "$gun"
echo "the first release" >release-1
as alice add "$gun" 1.0 release-1
as alice publish "$gun"

title "bob, who has never seen it, lists and verifies"
as bob list "$gun"
as bob verify "$gun" 1.0 -i release-1 -q && echo "bob: release-1 is what alice signed"
echo "not the first release" >forged
if as bob verify "$gun" 1.0 -i forged -q; then fail "a forged file was accepted"; fi

title "alice hands the snapshot key to the server and delegates to bob"
as alice key rotate "$gun" snapshot -r
openssl ecparam -name prime256v1 -genkey -noout -out bob-signing.key 2>/dev/null
openssl ec -in bob-signing.key -pubout -out bob-signing.pub 2>/dev/null
as alice delegation add "$gun" targets/releases bob-signing.pub --all-paths --publish
as bob key import bob-signing.key --role targets/releases --gun "$gun"
echo "the second release" >release-2
as bob add "$gun" 2.0 release-2 --roles targets/releases --publish
as alice list "$gun"

title "alice rotates the timestamp and the root key; bob follows"
as alice key rotate "$gun" timestamp -r
echo yes | as alice key rotate "$gun" root
as bob list "$gun"

title "A client without a certificate is refused, and told why"
bundle=$directory/users/alice
printf '\033[36m$ curl %s\033[0m\n' "$url/v2/$gun/_trust/tuf/root.json"
refusal=$(curl -sS --cacert "$bundle/ca.pem" "$url/v2/$gun/_trust/tuf/root.json")
echo "$refusal"
case $refusal in *no_certificate*) ;; *) fail "the refusal names no reason" ;; esac
if notary -s "$url" --tlscacert "$bundle/ca.pem" -d "$work/nobody" list "$gun"; then
    fail "a client without a certificate was served"
fi
printf '\033[36m$ curl --cert alice %s\033[0m\n' "$url/v2/"
curl -sSf --cacert "$bundle/ca.pem" --cert "$bundle/cert.pem" --key "$bundle/key.pem" -o /dev/null \
    -w 'with a certificate: %{http_code}\n' "$url/v2/"

title "Done"
cat <<END
The trust server is at $url, its data in $directory.
Go on as alice or bob:
  . $directory/users/alice/env.sh
  notary list $gun
  notary init example.com/mine/app --publish
With docker: push and pull through a registry with DOCKER_CONTENT_TRUST=1 after sourcing env.sh.
END
if [ "$leave" = yes ]; then
    exit 0
fi
echo "The daemons run until Ctrl-C."
wait -n "${pids[@]}" || true
fail "a daemon ended by itself; see $directory/signer.log and $directory/server.log"
