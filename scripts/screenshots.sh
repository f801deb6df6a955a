#!/bin/bash
# Pictures of every web page, in both colour schemes and two widths, from Debian's Chromium with a certificate; axe-core looks at each.
# Usage: screenshots.sh DIRECTORY
# PROGRAMS=DIRECTORY uses programs that are there already, otherwise a debug build is made. Installs what it needs besides.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -eq 1 ] || { echo "usage: screenshots.sh DIRECTORY" >&2; exit 2; }
mkdir -p "$1"
pictures=$(cd "$1" && pwd)
if [ -z "${PROGRAMS:-}" ]; then
    cargo build --locked --bins
    PROGRAMS=${CARGO_TARGET_DIR:-target}/debug
fi
programs=$(cd "$PROGRAMS" && pwd)
browser=$(cd scripts/browser && pwd)
scripts/install-requirements.sh browser

work=$(mktemp -d)
pids=()
stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

"$programs/countersign-server" quickstart --dir "$work/demo" --user alice --user bob >/dev/null
# A CA of the server's own, so that people are offered a certificate, and rules, so that there is something to see of them.
"$programs/countersign-server" ca init --dir "$work/demo/own-ca" --name "Example client CA" >/dev/null
node - "$work/demo/server/config.json" <<'EOF'
const fs = require('node:fs');
const file = process.argv[2];
const config = JSON.parse(fs.readFileSync(file, 'utf8'));
config.client_cas = { own: '../own-ca/ca.pem' };
config.tuf = { enabled: true };
config.issuing = { ca: '../own-ca', days: 90 };
config.identity = [
  { name: 'own', issuer: { ca: 'own' }, preset: 'kubernetes' },
  { name: 'names', issuer: { ca: 'default' }, preset: 'cn' },
];
config.policy = [
  { name: 'administrators', effect: 'allow', principals: ['alice'], actions: ['*'] },
  { name: 'release team', effect: 'allow', principals: ['bob'], actions: ['pull', 'push', 'bundle'] },
];
fs.writeFileSync(file, JSON.stringify(config, null, 2));
EOF
port() { sed -n "s/.*\"$2\": \"[^\"]*:\([0-9]*\)\".*/\1/p" "$work/demo/$1/config.json"; }
start() {
    name=$1 at=$2
    shift 2
    "$@" >"$work/$name.log" 2>&1 &
    pids+=("$!")
    for _ in $(seq 200); do
        (exec 3<>"/dev/tcp/127.0.0.1/$at") 2>/dev/null && return
        sleep 0.1
    done
    tail "$work/$name.log" >&2
    exit 1
}
# shellcheck disable=SC1091
. "$work/demo/signer/env.sh"
start signer "$(port signer grpc_addr)" "$programs/countersign-signer" --config "$work/demo/signer/config.json"
start server "$(port server http_addr)" "$programs/countersign-server" --config "$work/demo/server/config.json"
url=https://localhost:$(port server http_addr)

# People's keys are registered, so that pages name them.
for user in alice bob; do
    operator() { "$programs/countersign-server" account "$@" --config "$work/demo/server/config.json" >>"$work/client.log" 2>&1; }
    operator add $user --group release
    operator key add $user --cert "$work/demo/users/$user/cert.pem"
done

export COUNTERSIGN_PASSPHRASE=passphrase
client() {
    local who=$1
    shift
    "$programs/countersign" "$@" --server "$url" --ca "$work/demo/users/$who/ca.pem" --cert "$work/demo/users/$who/cert.pem" \
        --key "$work/demo/users/$who/key.pem" --trust-dir "$work/trust-$who" --state "$work/state-$who" >>"$work/client.log" 2>&1 ||
        { tail "$work/client.log" >&2; exit 1; }
}
sign() {
    client alice sign "$1" --digest "sha256:$(printf %s "$2" | sha256sum | cut -d' ' -f1)" --size "$3" --init --role targets
}
gun=registry.example:5000/team/app
sign $gun:1.0 one 148212904
sign $gun:1.1 two 149000000
sign $gun:latest two 149000000
sign $gun:1.0 one-again 148212999
for user in alice bob; do
    client alice signer add $user $gun "$work/demo/users/$user/cert.pem"
    "$programs/countersign" key import "$work/demo/users/$user/key.pem" --role $user --trust-dir "$work/trust-$user" \
        >>"$work/client.log"
done
for tag in 1.2 1.2.0 stable; do
    client bob sign $gun:$tag --digest "sha256:$(printf three | sha256sum | cut -d' ' -f1)" --size 147912904 --tofu
done
client alice revoke $gun:1.1
for name in prod/api prod/gateway team/base users/alice/scratch; do
    sign "registry.example:5000/$name:1.0" "$name" 31000000
done

# A TUF 1.0 repository in which something waits for bob.
tuf=team/tools
for file in tool-1.0.tar.gz tool-1.1.tar.gz README.md; do printf %s "$file" >"$work/$file"; done
client alice tuf init $tuf
client alice tuf add $tuf "$work/tool-1.0.tar.gz" "$work/tool-1.1.tar.gz" --prefix releases/ --custom '{"channel": "stable"}'
client alice tuf add $tuf "$work/README.md"
client alice tuf signers $tuf targets --add "$work/demo/users/bob/cert.pem" --threshold 2

export HOME=$work/home
mkdir -p "$HOME/.pki/nssdb"
certutil -d "sql:$HOME/.pki/nssdb" -N --empty-password
certutil -d "sql:$HOME/.pki/nssdb" -A -n ca -t C,, -i "$work/demo/users/alice/ca.pem"
pk12util -d "sql:$HOME/.pki/nssdb" -i "$work/demo/users/alice/cert.p12" -w "$work/demo/users/alice/p12-password.txt"
"$browser/with-policy.sh" "$url" node "$browser/look.mjs" "$url" "$gun" "$pictures" "$tuf"
