#!/bin/sh
# Runs a command whose Chromium shows a server the certificate of its user's store, without asking which one.
# Usage: with-policy.sh URL COMMAND ARGUMENT...
# Only a policy below /etc/chromium can say so. The command gets a directory of its own there, in a mount namespace: the
# policies of this machine stay as they are, others run beside this one with theirs, and nothing is left behind however it ends.
# Needs root, or a machine where users may make namespaces. All that the command started ends with it.
set -eu

if [ "$1" != --inside ]; then
    map=""
    [ "$(id -u)" = 0 ] || map=--map-root-user
    # shellcheck disable=SC2086 # one word or none
    exec unshare $map --mount --pid --fork --kill-child --mount-proc --propagation private sh "$0" --inside "$@"
fi
url=$2
shift 2
mkdir -p /etc/chromium
mount -t tmpfs policies /etc/chromium
mkdir -p /etc/chromium/policies/managed
printf '{"AutoSelectCertificateForUrls": ["{\\"pattern\\":\\"%s\\",\\"filter\\":{}}"]}\n' "$url" \
    >/etc/chromium/policies/managed/countersign.json
exec "$@"
