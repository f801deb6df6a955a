#!/bin/sh
# Prints the options with which cargo builds an OpenSSL of its own into release builds, where the system's is older than
# 3.5: handshakes cost twice as much with it. Prints nothing where the system's is new enough.
set -eu

if ! pkg-config --atleast-version=3.5 openssl 2>/dev/null; then
    echo "--features vendored-openssl"
fi
