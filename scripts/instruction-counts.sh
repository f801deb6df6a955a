#!/bin/bash
# Counts the instructions of the parts of tuf/benches/cases.rs with valgrind, which does not depend on what else the machine
# does, and compares them with tuf/benches/counts.txt. Fails if one needs more than TOLERANCE percent more.
# Usage: instruction-counts.sh [--update]   (writes the file instead)
set -euo pipefail
cd "$(dirname "$0")/.."

# Keys and signatures are made anew each time, which changes a count by about a tenth of a percent. Another compiler or
# another OpenSSL changes every part: then count before and after the change on one machine.
TOLERANCE=5
KEPT=tuf/benches/counts.txt
update=no
case "${1-}" in
    "") ;;
    --update) update=yes ;;
    *) echo "usage: $0 [--update]" >&2; exit 2 ;;
esac

program=$(cargo bench --quiet --locked --package tuf --bench counts --no-run --message-format=json |
    grep -o '"executable":"[^"]*"' | tail -n 1 | cut -d '"' -f 4)
[ -x "$program" ] || { echo "the program that is counted was not built" >&2; exit 1; }

count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no \
        '--toggle-collect=counts::counted*' "$program" "$1" 2>&1 | sed -n 's/^.*Collected : //p'
}

failed=no
new=$(mktemp)
trap 'rm -f "$new"' EXIT
{
    echo "# Instructions of ten runs of each part, as scripts/instruction-counts.sh --update counted them."
    echo "# $(rustc --version | cut -d ' ' -f 1-2), $(uname -m), the system's $(openssl version | cut -d ' ' -f 1-2)"
} > "$new"
for part in $("$program"); do
    counted=$(count "$part")
    if ! [ "${counted:-0}" -gt 0 ]; then
        echo "$part: nothing was counted" >&2
        exit 1
    fi
    echo "$part $counted" >> "$new"
    kept=$(awk -v part="$part" '$1 == part { print $2 }' "$KEPT" 2>/dev/null || true)
    if [ -z "$kept" ]; then
        echo "$part: $counted, new"
        [ "$update" = yes ] || failed=yes
        continue
    fi
    change=$(awk -v a="$kept" -v b="$counted" 'BEGIN { printf "%+.1f", (b - a) * 100 / a }')
    verdict=""
    if awk -v change="$change" -v most="$TOLERANCE" 'BEGIN { exit !(change > most) }'; then
        verdict=", MORE than $TOLERANCE % more"
        [ "$update" = yes ] || failed=yes
    fi
    echo "$part: $counted, was $kept ($change %)$verdict"
done
if [ "$update" = yes ]; then
    cp "$new" "$KEPT"
    echo "written to $KEPT"
elif [ "$failed" = yes ]; then
    echo "If this is meant: scripts/instruction-counts.sh --update, and say why in the commit." >&2
    exit 1
fi
