#!/bin/sh
# Installs what is missing from Debian's packages, from npm what drives the browser and a client of TUF 1.0, from PyPI another
# such client, from crates.io a reader of cosign's signatures, and nothing that is there already.
# Usage: install-requirements.sh build|openssl|database|notary|docker|browser|tuf|cosign|gate-demo|counts|fuzz|test ...
set -eu

missing=""
modules=""
clients=""
reader=""
# need PROGRAM_OR_FILE PACKAGE...: the packages, unless the program or file is there
need() {
    probe=$1
    shift
    case $probe in
        /*) [ -e "$probe" ] && return 0 ;;
        *) PATH="$PATH:/usr/sbin:/sbin" command -v "$probe" >/dev/null 2>&1 && return 0 ;;
    esac
    missing="$missing $*"
}

for group in "$@"; do
    case $group in
        build)
            if ! command -v cargo >/dev/null 2>&1; then
                echo "The Rust toolchain is missing: see https://rustup.rs" >&2
                exit 1
            fi
            need cc gcc libc6-dev
            need pkg-config pkg-config
            need /usr/include/openssl/ssl.h libssl-dev
            need /usr/include/postgresql/libpq-fe.h libpq-dev
            need /usr/include/mariadb/mysql.h libmariadb-dev
            ;;
        openssl)
            # What builds it, where the system's is old.
            if [ -n "$("$(dirname "$0")/openssl-features.sh")" ]; then
                need make make
                perl -MIPC::Cmd -MFindBin -e 1 2>/dev/null || missing="$missing perl"
            fi
            ;;
        database)
            need pg_ctlcluster postgresql
            need mariadbd mariadb-server
            need setpriv util-linux
            # A cluster of MariaDB's servers; a node that joins is sent a copy.
            need /usr/lib/galera/libgalera_smm.so galera-4
            need rsync rsync
            need lsof lsof
            ;;
        notary)
            need /usr/bin/notary notary
            need /usr/bin/notary-signer notary
            need curl curl ca-certificates
            need openssl openssl
            ;;
        docker)
            need /usr/sbin/dockerd docker.io
            need /usr/bin/docker docker.io
            need /usr/bin/docker-registry docker-registry
            need /usr/bin/skopeo skopeo
            need unshare util-linux
            need ip iproute2
            ;;
        browser)
            need chromium chromium
            need certutil libnss3-tools
            need node nodejs
            need npm npm
            need unshare util-linux
            modules="$modules $(dirname "$0")/browser"
            ;;
        tuf)
            # Of python3-venv, which has no program of its own.
            need /usr/share/doc/python3-venv python3-venv
            need node nodejs
            need npm npm
            clients=$(dirname "$0")/tuf-clients
            modules="$modules $clients"
            ;;
        cosign)
            # Makes and reads signatures of the other kind.
            need gpg gnupg
            need /usr/bin/skopeo skopeo
            need /usr/bin/docker-registry docker-registry
            reader=$(dirname "$0")/cosign-reader
            ;;
        gate-demo)
            need curl curl ca-certificates
            need jq jq
            ;;
        fuzz)
            need g++ g++
            need jq jq
            ;;
        counts)
            need valgrind valgrind
            ;;
        test)
            need faketime faketime
            need script bsdutils
            need nginx nginx-light
            # Tokens with keys, and a program of others that works on them.
            need softhsm2-util softhsm2
            need pkcs11-tool opensc
            ;;
        *)
            echo "unknown group: $group" >&2
            exit 2
            ;;
    esac
done

install_packages() {
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "These Debian packages, or what they hold, are missing:$missing" >&2
        exit 1
    fi
    as_root=""
    if [ "$(id -u)" != 0 ]; then
        as_root=sudo
    fi
    echo "Installing:$missing"
    # Daemons that come with the packages are started by the tests alone.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
        $as_root chmod +x "$policy"
        trap '$as_root rm -f "$policy"' EXIT
    fi
    $as_root apt-get update -q
    # shellcheck disable=SC2086 # a list of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
}

# The versions of package-lock.json; a copy of it beside them says that all of them are there.
install_modules() {
    cmp -s "$1/package-lock.json" "$1/node_modules/.installed" && return 0
    PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm --prefix "$1" ci --ignore-scripts --no-audit --no-fund &&
        cp "$1/package-lock.json" "$1/node_modules/.installed"
}

# The same for Python, with Debian's own interpreter; and the source of python-tuf, of which the tests use the simulator.
install_python() {
    cat "$1/requirements.txt" "$1/simulator.txt" | cmp -s - "$1/venv/.installed" && return 0
    /usr/bin/python3 -m venv --clear "$1/venv" &&
        "$1/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$1/requirements.txt" &&
        "$1/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary tuf \
            --dest "$1/venv/source" --requirement "$1/simulator.txt" &&
        tar -xzf "$1"/venv/source/tuf-*.tar.gz -C "$1/venv/source" --strip-components=1 &&
        cat "$1/requirements.txt" "$1/simulator.txt" >"$1/venv/.installed"
}

# Nothing of it is delivered, so it is a workspace of its own.
build_reader() {
    cargo build --quiet --locked --manifest-path "$1/Cargo.toml" --target-dir "$1/target"
}

[ -z "$missing" ] || install_packages
# Once more where the network failed.
for directory in $modules; do
    install_modules "$directory" || install_modules "$directory"
done
[ -z "$clients" ] || install_python "$clients" || install_python "$clients"
[ -z "$reader" ] || build_reader "$reader" || build_reader "$reader"
