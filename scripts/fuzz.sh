#!/bin/bash
# Fuzzes each target for a time, beginning with recorded requests and what was found before (fuzz/corpus).
# Usage: fuzz.sh [SECONDS [TARGET...]]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(reference policy admission_review authorization_request)
if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install cargo-fuzz --locked
fi

# seed TARGET NAME: keeps standard input as a beginning for the target
seed() {
    mkdir -p "fuzz/corpus/$1"
    cat >"fuzz/corpus/$1/seed-$2"
}
for name in mutate-pod-create validate-pod-create image-review; do
    jq -c .body "fixtures/gates/$name.request.json" | seed admission_review "$name"
done
for number in 1 2; do
    body=$(printf '{"Image":"registry.example/app:%s"}' "$number" | base64 -w 0)
    printf '{"RequestMethod":"POST","RequestUri":"/v1.41/containers/create?name=a","RequestHeaders":{"Content-Type":"application/json"},"RequestBody":"%s"}' \
        "$body" | seed authorization_request "create-$number"
done
printf 'registry.example:5000/team/app:1.0' | seed reference tag
printf 'alpine@sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881' | seed reference digest
sed -n '/^```yaml/,/^```/p' docs/policy.md | sed '/^```/d' | seed policy page
printf 'version: 1\nrules: [ { match: "**", action: allow } ]\n' | seed policy allow

# Without a sanitizer the stable toolchain suffices: what is fuzzed is safe Rust, and what counts is a panic.
for target in "${targets[@]}"; do
    echo "== $target, $seconds s"
    cargo fuzz run --sanitizer none "$target" -- -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=2048
done
