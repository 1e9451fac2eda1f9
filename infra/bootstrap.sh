#!/bin/sh
# Sets up what the house needs on a bare Debian 12 (root or sudo): C tools, PostgreSQL, a software token, a TPM library and
# a software TPM, a Rust toolchain, libtorch.
# Does nothing when all is there. Interrupted, it goes on where it stopped: a wheel once fetched is kept until unpacked.
#
#   sh infra/bootstrap.sh           install what is missing
#   sh infra/bootstrap.sh --check   say what is missing; exit 1 if anything is
#   sh infra/bootstrap.sh --no-libtorch [--check]   what default members need: neither libtorch nor the TPM library
#   sh infra/bootstrap.sh --browser [--check]       and Chromium, in which the portal's tests run
#
# LIBTORCH names another libtorch 2.11.0 than the one that is fetched: for CUDA cards, an unpacked release of PyTorch or the
# folder `torch` of an installed wheel. It stands in the environment of every build then.
#
# Data goes nowhere but apt's packages, .build/ in the repository and, where Debian's security archive is not yet a
# source of apt, one file in /etc/apt/sources.list.d. Talk is on stderr.
set -eu
cd "$(dirname "$0")/.."
. infra/env.sh

say() { printf 'bootstrap: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

check=no libtorch=yes browser=no
for argument in "$@"; do
    case $argument in
    --check) check=yes ;;
    --no-libtorch) libtorch=no ;;
    --browser) browser=yes ;;
    *) fail "unknown argument $argument; known: --check, --no-libtorch, --browser" ;;
    esac
done

private=.build
home=${LIBTORCH:-$private/libtorch}

# --- what is missing -------------------------------------------------------------------------------------------------

# The folder `torch` of an installed wheel says its version in Python.
libtorch_version() {
    if [ -r "$home/build-version" ]; then
        cat "$home/build-version"
    elif [ -r "$home/version.py" ]; then
        sed -n "s/^__version__ = '\(.*\)'.*/\1/p" "$home/version.py"
    fi
}

libtorch_is_there() {
    case $(libtorch_version) in 2.11.0 | 2.11.0+*) ;; *) return 1 ;; esac
    [ -d "$home/include/torch" ] || return 1
    # With a half for CUDA cards the rest lies where its own libraries look for it; the one of ours has all beside it.
    rest="libgomp.so.1 libcudart.so.13 libcupti.so.13"
    if [ -s "$home/lib/libtorch_cuda.so" ]; then
        ldd "$home/lib/libtorch_cuda.so" 2>&1 | grep -q 'not found' && return 1
        rest=
    fi
    for file in libtorch.so libtorch_cpu.so libc10.so $rest; do
        [ -s "$home/lib/$file" ] || return 1
    done
}

# Prints one line per Debian package that is needed and not there: name, then why.
missing_packages() {
    for tool in gcc g++ make; do
        command -v $tool >/dev/null || {
            echo "build-essential compiles the C and C++ parts of crates (SQLite, the libtorch wrappers)"
            break
        }
    done
    command -v pkg-config >/dev/null || echo "pkg-config tells cargo where OpenSSL lies"
    [ -e /usr/include/openssl/ssl.h ] || pkg-config --exists openssl 2>/dev/null ||
        echo "libssl-dev headers of OpenSSL 3 for the crate openssl"
    [ -e /usr/include/postgresql/libpq-fe.h ] || pkg-config --exists libpq 2>/dev/null ||
        echo "libpq-dev PostgreSQL's client library, which the registry links"
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ||
        echo "postgresql-15 the server that the tests start for themselves"
    command -v hledger >/dev/null || echo "hledger the accounting tool that checks the exported books in the tests"
    command -v softhsm2-util >/dev/null || echo "softhsm2 the software token that the tests of hardware keys use"
    ls /usr/lib/*/pkcs11-spy.so >/dev/null 2>&1 ||
        echo "opensc-pkcs11 writes down the calls to a token, which the same tests count"
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo "ca-certificates lets cargo and pip check the registries' TLS"
    if [ $libtorch = yes ]; then
        pkg-config --exists tss2-sys 2>/dev/null || echo "libtss2-dev the TPM library that the attesters link"
        command -v swtpm >/dev/null || echo "swtpm the software TPM that the attesters' tests start"
        command -v curl >/dev/null || echo "curl the handbook asks services with it, as its tests do"
        python3 -c 'import ensurepip, venv' 2>/dev/null ||
            echo "python3-venv makes the environments of other people's tools that the tests use"
    fi
    if [ $browser = yes ]; then
        [ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null ||
            echo "chromium the browser in which the portal's tests run (350 MB on disk)"
    fi
    if [ $libtorch = yes ] && ! libtorch_is_there; then
        command -v python3 >/dev/null || echo "python3 unpacks libtorch"
        python3 -m pip --version >/dev/null 2>&1 || echo "python3-pip fetches libtorch from the Python registry"
    fi
}

packages=$(missing_packages)
rust=yes
depa_use_rust || rust=no
torch=yes
if [ $libtorch = yes ]; then libtorch_is_there || torch=no; fi

[ -z "$packages$([ $rust$torch = yesyes ] || echo missing)" ] && exit 0

[ "$(uname -m)" = x86_64 ] || fail "only x86-64 is supported; this is $(uname -m)"
if [ -n "$packages" ]; then
    echo "$packages" | while read -r name why; do say "missing: Debian package $name ($why)"; done
fi
[ $rust = yes ] || say "missing: Rust $DEPA_MIN_RUST or newer (the locked crates need it); Debian's cargo-web and rustc-web have it"
[ $torch = yes ] || say "missing: libtorch 2.11.0 in $home (the trainer's tensors; about 544 MB to fetch, 500 MB on disk)"
[ $check = no ] || exit 1

# --- Debian packages -------------------------------------------------------------------------------------------------

root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "root rights or sudo are needed for: $*"
    fi
}

# apt's long talk goes to .build/apt.log; its end is shown where apt fails.
apt() {
    mkdir -p "$private"
    root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 \
        -o DPkg::Lock::Timeout=300 "$@" >>"$private/apt.log" 2>&1 && return 0
    tail -n 15 "$private/apt.log" >&2
    return 1
}

# Never removes a package of the machine's owner (cargo-web conflicts with Debian's old cargo and with rustup).
install() {
    say "installing with apt: $*"
    apt install --no-install-recommends --no-remove "$@" ||
        fail "apt could not install $*; if it wanted to remove packages, remove them yourself or install Rust $DEPA_MIN_RUST otherwise"
}

# The version of cargo-web that apt would take is at least the wanted one.
rust_is_on_offer() {
    offered=$(apt-cache policy cargo-web 2>/dev/null | sed -n 's/^ *Candidate: *//p')
    [ -n "$offered" ] && dpkg --compare-versions "$offered" ge "$DEPA_MIN_RUST"
}

# A bare debootstrap has no security archive among its sources: it lies beside the main one on the same mirror.
add_security_archive() {
    main=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
    [ -n "$main" ] || fail "apt has no source for Debian 12 (bookworm), so cargo-web is not to be had"
    say "adding Debian's security archive to apt (/etc/apt/sources.list.d/depa-security.list): Rust $DEPA_MIN_RUST is only there"
    echo "deb ${main%/}-security bookworm-security main" | root tee /etc/apt/sources.list.d/depa-security.list >/dev/null
    apt update || fail "Debian's security archive is not reachable at ${main%/}-security"
}

if [ -n "$packages" ] || [ $rust = no ]; then
    command -v apt-get >/dev/null || fail "this is no Debian: install what is listed above, then run again"
    say "refreshing apt's lists"
    apt update || fail "apt-get update failed; is the Debian registry reachable?"
fi
# Debian's PostgreSQL makes and starts a cluster of its own when it is installed; the tests need the programs only.
case $packages in
*postgresql-15*)
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        root mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" | root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    ;;
esac
if [ -n "$packages" ]; then
    # shellcheck disable=SC2046
    install $(echo "$packages" | cut -d' ' -f1)
fi

# --- Rust ------------------------------------------------------------------------------------------------------------

if [ $rust = no ]; then
    rust_is_on_offer || add_security_archive
    rust_is_on_offer || fail "apt offers cargo-web ${offered:-not at all}; Rust $DEPA_MIN_RUST or newer is needed"
    install cargo-web rustc-web
    depa_use_rust || fail "cargo and rustc are still older than $DEPA_MIN_RUST"
fi

# --- libtorch --------------------------------------------------------------------------------------------------------

# The same files whatever Python the machine has. A wheel is fetched beside and renamed, so a name in wheels/ is whole.
fetch() {
    [ -z "$(find "$private/wheels" -name "$(echo "$1" | tr - _)-*.whl")" ] || return 0
    grep "^$1==" infra/libtorch.txt >"$private/fetch/wanted.txt"
    quiet=-q
    [ ! -t 2 ] || quiet=
    for attempt in 1 2 3; do
        say "fetching $(cut -d' ' -f1 "$private/fetch/wanted.txt") with pip (attempt $attempt of 3)"
        # shellcheck disable=SC2086
        if PIP_ROOT_USER_ACTION=ignore python3 -m pip download $quiet --disable-pip-version-check --no-input --no-cache-dir \
            --no-deps --require-hashes --only-binary=:all: --implementation cp --python-version 3.11 \
            --abi cp311 --abi none --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \
            --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
            --dest "$private/fetch" -r "$private/fetch/wanted.txt" >&2; then
            mv "$private"/fetch/*.whl "$private/wheels/"
            return 0
        fi
    done
    fail "$1 could not be fetched; run again to go on from here"
}

if [ $torch = no ]; then
    [ -z "${LIBTORCH:-}" ] || fail "LIBTORCH=$LIBTORCH is set but holds no libtorch 2.11.0 with the libraries needed; unset it"
    mkdir -p "$private/wheels"
    exec 9>"$private/lock"
    flock 9 # two set-ups at once: the second waits and then finds all there
    if ! libtorch_is_there; then
        rm -rf "$private/fetch" "$private"/libtorch.?*
        mkdir "$private/fetch"
        for wheel in nvidia-cuda-runtime nvidia-cuda-cupti torch; do fetch $wheel; done
        say "checking digests and unpacking into $home"
        python3 infra/libtorch.py "$private/wheels" infra/libtorch.txt "$home"
        rm -rf "$private/fetch" "$private/wheels"
    fi
fi
say "all is there"
