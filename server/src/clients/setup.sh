#!/bin/sh
# Sets this user's docker and notary up for the trust server below: certificate, key and the server's CA.
# It downloads nothing and runs no other code; read it, then:
#
#   sh setup.sh [--dry-run] [--force] [--registry HOST:PORT] [--user NAME] [--home DIR] [--etc DIR] CERT KEY
#
#   CERT, KEY   your certificate (followed by its intermediates, if any) and its key, in PEM
#   --registry  also set up dockerd and "docker trust sign" for this registry, as written in image names
#   --user      the signer's name in new repositories (default: the certificate's common name)
#   --home      where .docker and .notary are (default: your home directory)
#   --etc       where dockerd looks (default: /etc/docker)
#   --force     replace another key that is already there; a replaced file is kept as FILE.before-DATE
#   --dry-run   only print what would be done
set -eu
umask 077

url=@URL@
server=@SERVER@
server_ca() {
    cat <<'END_OF_CA'
@CA@
END_OF_CA
}

say() { printf '%s\n' "$*"; }
fail() { printf 'setup.sh: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
usage='usage: sh setup.sh [--dry-run] [--force] [--registry HOST:PORT] [--user NAME] [--home DIR] [--etc DIR] CERT KEY'

dry_run= force= registry= user= home=${HOME:-} etc=/etc/docker cert= key=
while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) dry_run=1 ;;
    --force) force=1 ;;
    --registry | --user | --home | --etc)
        [ $# -ge 2 ] || fail "$1 needs a value. $usage"
        case $1 in
        --registry) registry=$2 ;;
        --user) user=$2 ;;
        --home) home=$2 ;;
        --etc) etc=$2 ;;
        esac
        shift
        ;;
    -h | --help) say "$usage"; exit 0 ;;
    -*) fail "unknown option $1. $usage" ;;
    *)
        if [ -z "$cert" ]; then cert=$1
        elif [ -z "$key" ]; then key=$1
        else fail "what is $1 for? $usage"
        fi
        ;;
    esac
    shift
done
[ -n "$key" ] || fail "$usage"
[ -n "$home" ] || fail 'HOME is not set: use --home DIR'
case $registry in */* | .*) fail "--registry $registry: a host, with its port if it has one, as image names begin" ;; esac
# notary resolves a relative path from the directory of its configuration file.
case $home in /*) ;; *) home=$PWD/$home ;; esac

# --- Check the certificate and the key
for file in "$cert" "$key"; do
    [ -r "$file" ] || fail "$file cannot be read"
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# docker and notary cannot read a file with a byte order mark, which Windows programs write.
# without_mark FILE NAME: FILE, or a copy without it; NAME is that of the copy.
without_mark() {
    if [ "$(head -c 3 "$1" | od -An -tx1 | tr -d ' \n')" = efbbbf ]; then
        (umask 077 && tail -c +4 "$1" >"$work/$2")
        printf '%s\n' "$work/$2"
    else
        printf '%s\n' "$1"
    fi
}
cert=$(without_mark "$cert" cert.pem)
key=$(without_mark "$key" key.pem)
grep -q 'BEGIN CERTIFICATE' "$cert" || fail "$cert is not a certificate in PEM; if it is the key, give the certificate first"
grep -q 'PRIVATE KEY' "$key" || fail "$key is not a private key in PEM"
if grep -q 'ENCRYPTED' "$key"; then
    fail "$key is encrypted, which docker and notary cannot use: openssl pkey -in $key -out decrypted.pem"
fi
if have openssl; then
    of_cert=$(openssl x509 -in "$cert" -noout -pubkey 2>/dev/null) || fail "$cert is damaged: openssl cannot read it"
    of_key=$(openssl pkey -in "$key" -pubout 2>/dev/null) || fail "$key is damaged: openssl cannot read it"
    [ "$of_cert" = "$of_key" ] || fail "$key is not the key of $cert"
    until=$(openssl x509 -in "$cert" -noout -enddate | cut -d= -f2)
    openssl x509 -in "$cert" -noout -checkend 0 >/dev/null ||
        fail "$cert has expired, on $until: ask for a new one"
    # With the certificate itself trusted, openssl checks only its dates and its purpose.
    if ! checked=$(openssl verify -partial_chain -trusted "$cert" -purpose sslclient "$cert" 2>&1); then
        case $checked in
        *'not yet valid'*) fail "$cert is not valid before $(openssl x509 -in "$cert" -noout -startdate | cut -d= -f2): check this machine's clock" ;;
        *purpose*) fail "$cert is not for TLS clients: ask for one with the extended key usage clientAuth" ;;
        *) say "warning: openssl says about $cert: $checked" ;;
        esac
    fi
    [ -n "$user" ] || user=$(openssl x509 -in "$cert" -noout -subject -nameopt sep_multiline,utf8,sname |
        sed -n 's/^ *CN=//p' | tail -n 1)
    say "checked  $cert: CN $user, valid until $until"
else
    say 'warning: there is no openssl here, so certificate and key were not checked'
fi

server_ca >"$work/ca.pem"

if have curl; then
    status=$(curl --silent --show-error --max-time 10 --output "$work/answer" --write-out '%{http_code}' \
        --cacert "$work/ca.pem" --cert "$cert" --key "$key" "$url/v2/" 2>"$work/error") || status=000
    case $status in
    200) say "checked  $url accepts this certificate" ;;
    000) say "warning: $url was not reached: $(tail -n 1 "$work/error")" ;;
    *) say "warning: $url answers $status: $(head -c 1000 "$work/answer")" ;;
    esac
fi

# --- Write the files
date=$(date -u +%Y%m%dT%H%M%SZ)
back_up() {
    [ -n "$dry_run" ] || cp -p "$1" "$1.before-$date"
    say "kept     $1.before-$date, a copy of what is replaced"
}
done_or_would() { if [ -n "$dry_run" ]; then say "would write $1"; else say "wrote    $1"; fi; }

# put MODE SOURCE FILE
put() {
    if [ -e "$3" ] && cmp -s "$2" "$3"; then
        [ -n "$dry_run" ] || chmod "$1" "$3"
        say "same     $3"
        return
    fi
    if [ -e "$3" ]; then back_up "$3"; fi
    if [ -z "$dry_run" ]; then
        mkdir -p "$(dirname "$3")"
        cp "$2" "$3.unfinished"
        chmod "$1" "$3.unfinished"
        mv -f "$3.unfinished" "$3"
    fi
    done_or_would "$3"
}

quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

# merge FILE JSON mine|theirs: the object in FILE with JSON added; with "theirs", existing values are kept.
merge() {
    if [ ! -e "$1" ]; then
        if [ -z "$dry_run" ]; then
            mkdir -p "$(dirname "$1")"
            printf '%s\n' "$2" >"$1"
        fi
        done_or_would "$1"
        return
    fi
    if [ "$(cat "$1")" = "$2" ]; then
        say "same     $1"
        return
    fi
    if have jq; then
        printf '%s\n' "$2" >"$work/new.json"
        order='.[0] * .[1]'
        [ "$3" = mine ] || order='.[1] * .[0]'
        jq -s "$order" "$1" "$work/new.json" >"$work/merged" 2>/dev/null &&
            jq . "$1" >"$work/present" || fail "$1 is not JSON: correct it, then run this again"
    elif have python3; then
        python3 - "$1" "$2" "$3" "$work" <<'END_OF_PYTHON' || fail "$1 is not JSON: correct it, then run this again"
import json, sys
path, new, whose, work = sys.argv[1:]
def merged(base, over):
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return {**base, **{k: merged(base[k], v) if k in base else v for k, v in over.items()}}
try:
    present = json.load(open(path))
except ValueError:
    sys.exit(1)
new = json.loads(new)
result = merged(present, new) if whose == "mine" else merged(new, present)
for name, value in (("present", present), ("merged", result)):
    with open(f"{work}/{name}", "w") as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")
END_OF_PYTHON
    else
        say "to do    there is neither jq nor python3 here, so add this to $1 yourself: $2"
        return
    fi
    if have jq; then same() { [ "$(jq -S . "$work/present")" = "$(jq -S . "$work/merged")" ]; }
    else same() { cmp -s "$work/present" "$work/merged"; }
    fi
    if same; then
        say "same     $1"
        return
    fi
    back_up "$1"
    # Writes into the existing file: it may be a link, and its owner chose its mode.
    [ -n "$dry_run" ] || cat "$work/merged" >"$1"
    done_or_would "$1"
}

tls=$home/.docker/tls/$server
daemon=$etc/certs.d/$registry
for present in "$tls/client.key" ${registry:+"$daemon/client.key"}; do
    # Checked before anything is written.
    if [ -z "$force" ] && [ -r "$present" ] && ! cmp -s "$key" "$present"; then
        fail "$present is another key: use --force to replace it (a copy of it is kept)"
    fi
done

put 644 "$work/ca.pem" "$tls/ca.crt"
put 644 "$cert" "$tls/client.cert"
put 600 "$key" "$tls/client.key"
merge "$home/.notary/config.json" "{
  \"remote_server\": {
    \"url\": $(quoted "$url"),
    \"root_ca\": $(quoted "$tls/ca.crt"),
    \"tls_client_cert\": $(quoted "$tls/client.cert"),
    \"tls_client_key\": $(quoted "$tls/client.key")
  }
}" mine

if [ -n "$registry" ]; then
    place=$daemon
    while [ ! -e "$place" ]; do place=$(dirname "$place"); done
    if [ -w "$place" ]; then
        # The registry may have another CA than the trust server.
        if [ -e "$daemon/ca.crt" ]; then say "left     $daemon/ca.crt as it is"
        else put 644 "$work/ca.pem" "$daemon/ca.crt"
        fi
        put 644 "$cert" "$daemon/client.cert"
        put 600 "$key" "$daemon/client.key"
    else
        say "to do    dockerd looks in $daemon, which you may not write:"
        say "         sudo install -D -m 644 '$tls/ca.crt' '$daemon/ca.crt'"
        say "         sudo install -D -m 644 '$tls/client.cert' '$daemon/client.cert'"
        say "         sudo install -D -m 600 '$tls/client.key' '$daemon/client.key'"
    fi
    # "docker trust sign" names the signer of a new repository after the user that it finds here; it does not use a password.
    if [ -n "$user" ]; then
        login=$(printf '%s:unused' "$user" | base64 | tr -d '\n')
        merge "$home/.docker/config.json" "{
  \"auths\": {
    $(quoted "$registry"): {
      \"auth\": $(quoted "$login")
    }
  }
}" theirs
    else
        say 'to do    use --user NAME to write the name that "docker trust sign" needs'
    fi
else
    say 'left out dockerd and the name that "docker trust sign" needs: use --registry HOST:PORT for them'
fi

case $server in
localhost* | 127.*) say "warning: docker uses no client certificate for images of registries on a loopback address" ;;
esac
say "now      export DOCKER_CONTENT_TRUST_SERVER='$url'"
