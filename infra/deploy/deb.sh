#!/bin/sh
# Makes Debian packages out of binaries that were built: depa-contract-service, depa-kms-adapter, depa-payment-adapter,
# depa-ccr and depa-cli, each if its binary is there. Two calls over the same binaries and commit give the same bytes.
#
#   sh infra/production.sh --release && cargo build --release --bin depa && sh infra/deploy/deb.sh --depa target/release/depa
#   sh infra/deploy/deb.sh --binaries DIR   contract-service, kms-adapter, payment-adapter, ccr (target/production)
#   sh infra/deploy/deb.sh --depa FILE      the participants' command (DIR/depa)
#   sh infra/deploy/deb.sh --trainer FILE   put the worker in; it finds libtorch beside it (needs patchelf, Debian)
#   sh infra/deploy/deb.sh --out DIR        where the packages go (.build/deb)
#   sh infra/deploy/deb.sh --version V      0.1.0 and the commit's date otherwise
#   DEB_MAINTAINER='Name <address>'         who answers for the packages
#
# libtorch is in no package (NOTICE): depa-ccr brings depa-fetch-libtorch, which gets it on the machine itself.
set -eu
cd "$(dirname "$0")/../.."

binaries=${CARGO_TARGET_DIR:-target}/production out=.build/deb depa='' trainer='' version=''
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || { echo "deb: $1 needs a value" >&2 && exit 2; }
    case $1 in
    --binaries) binaries=$2 ;;
    --depa) depa=$2 ;;
    --trainer) trainer=$2 ;;
    --out) out=$2 ;;
    --version) version=$2 ;;
    *)
        echo "deb: unknown argument $1; known: --binaries, --depa, --trainer, --out, --version" >&2
        exit 2
        ;;
    esac
    shift 2
done
[ -n "$depa" ] || depa=$binaries/depa

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
if [ -z "$version" ]; then
    release=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
    version=$release+$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d)
fi
here=infra/deploy
maintainer=${DEB_MAINTAINER:-The DEPA authors <nobody@localhost>}
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# With the licences' texts where cargo has the crates.
python3 infra/supply/third_party.py --texts >"$work/THIRD_PARTY.md" 2>/dev/null || {
    echo "deb: the licences' texts are left out: cargo or Python cannot name the crates" >&2
    cp infra/supply/THIRD_PARTY.md "$work/THIRD_PARTY.md"
}

# The Debian packages whose libraries a binary names.
needs() {
    mkdir -p "$work/shlibs/debian"
    printf 'Source: depa\n\nPackage: depa\nArchitecture: amd64\n' >"$work/shlibs/debian/control"
    full=$(realpath "$1")
    (cd "$work/shlibs" && dpkg-shlibdeps --ignore-missing-info -O -e"$full" 2>/dev/null) | sed -n 's/^shlibs:Depends=//p'
}

# begin PACKAGE BINARY: the package's tree, with its binary.
begin() {
    package=$1 tree=$work/$1
    if [ ! -x "$2" ]; then
        echo "deb: $package is left out: $2 is not there" >&2
        return 1
    fi
    mkdir -p "$tree/DEBIAN" "$tree/usr/share/doc/$package"
    install -D -m 0755 "$2" "$tree/usr/bin/${3:-$(basename "$2")}"
    strip --strip-unneeded "$tree/usr/bin/"* 2>/dev/null || :
    depends=$(needs "$2")
    install -m 0644 docs/operate/packages.md "$tree/usr/share/doc/$package/README.md"
    {
        printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n'
        printf 'Copyright: 2026 the authors of the DEPA clean-room platform\nLicense: Apache-2.0\n'
        printf ' On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.\n'
        printf ' The licences of the crates that are compiled in stand in THIRD_PARTY.md.gz beside this file.\n'
    } >"$tree/usr/share/doc/$package/copyright"
    gzip -9n <"$work/THIRD_PARTY.md" >"$tree/usr/share/doc/$package/THIRD_PARTY.md.gz"
    printf 'depa (%s) unstable; urgency=medium\n\n  * What changed: CHANGELOG.md of the project.\n\n -- %s  %s\n' \
        "$version" "$maintainer" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$tree/usr/share/doc/$package/changelog.gz"
}

# unit NAME...: the services of the package, its users and folders, its maintainer scripts.
units() {
    for unit in "$@"; do
        install -D -m 0644 "$here/systemd/$unit" "$tree/usr/lib/systemd/system/$unit"
    done
    install -D -m 0644 "$here/debian/sysusers/$package.conf" "$tree/usr/lib/sysusers.d/$package.conf"
    install -D -m 0644 "$here/debian/tmpfiles/$package.conf" "$tree/usr/lib/tmpfiles.d/$package.conf"
    for script in postinst prerm postrm; do
        sed -e "s/@PACKAGE@/$package/g" -e "s/@UNITS@/$*/g" "$here/debian/$script" >"$tree/DEBIAN/$script"
        chmod 0755 "$tree/DEBIAN/$script"
    done
    depends="systemd, $depends"
}

# A file of /etc that the operator changes and dpkg leaves alone.
etc() {
    install -D -m "${3:-0644}" "$1" "$tree/etc/depa/$2"
    echo "/etc/depa/$2" >>"$tree/DEBIAN/conffiles"
}

example() {
    install -D -m 0644 "$1" "$tree/usr/share/doc/$package/examples/$(basename "$1")"
}

finish() {
    find "$tree" -type d -exec chmod 0755 {} +
    (cd "$tree" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
    size=$(du -sk --apparent-size "$tree" | cut -f 1)
    cat >"$tree/DEBIAN/control" <<EOF
Package: $package
Source: depa
Version: $version
Architecture: amd64
Maintainer: $maintainer
Installed-Size: $size
Depends: $depends
Section: net
Priority: optional
Description: $1
 $2
 .
 Part of a clean-room platform in which organisations let others train
 models on data that they never see, under contracts machines enforce.
EOF
    find "$tree" -exec touch --no-dereference -d "@$SOURCE_DATE_EPOCH" {} +
    file=$out/${package}_${version}_amd64.deb
    dpkg-deb --root-owner-group --uniform-compression -Zxz --build "$tree" "$file" >/dev/null
    echo "$file"
}

if begin depa-contract-service "$binaries/contract-service"; then
    units depa-contract-service.service depa-witness.service
    etc "$here/debian/etc/contract-service.env" contract-service.env
    example infra/config/contract-service.toml
    example infra/config/witness.toml
    example "$here/prometheus/alerts.yml"
    example "$here/grafana/depa.json"
    finish "contract registry, transparency log and payments of an SRO" "The front desk of a self-regulatory organisation, and a log witness."
fi
if begin depa-kms-adapter "$binaries/kms-adapter"; then
    units depa-kms.service
    etc "$here/debian/etc/kms.env" kms.env
    example infra/config/kms.toml
    example "$here/helm/nginx.conf"
    finish "key service of a training data provider" "Opens data keys for approved and attested clean rooms only."
fi
if begin depa-payment-adapter "$binaries/payment-adapter"; then
    units depa-payment-adapter.service
    etc "$here/debian/etc/payment-adapter.env" payment-adapter.env
    etc infra/config/payment-adapter.toml payment-adapter.toml
    finish "payment service provider's adapter" "Takes the contract service's instructions, has them paid, and answers."
fi
if begin depa-ccr "$binaries/ccr"; then
    units depa-ccr-agent.service
    etc "$here/debian/etc/agent.env" agent.env
    etc infra/config/ccr.toml ccr.toml
    depends="depa-cli (= $version), python3, python3-pip, $depends"
    install -D -m 0755 "$here/debian/depa-fetch-libtorch" "$tree/usr/sbin/depa-fetch-libtorch"
    install -D -m 0644 infra/libtorch.py "$tree/usr/lib/depa/libtorch.py"
    install -D -m 0644 infra/libtorch.txt "$tree/usr/lib/depa/libtorch.txt"
    if [ -n "$trainer" ]; then
        command -v patchelf >/dev/null || { echo "deb: the worker needs patchelf to find libtorch beside it" >&2 && exit 1; }
        install -D -m 0755 "$trainer" "$tree/usr/lib/depa/ccr-trainer"
        # shellcheck disable=SC2016 # $ORIGIN is the loader's.
        patchelf --set-rpath '$ORIGIN/libtorch/lib' "$tree/usr/lib/depa/ccr-trainer"
        strip --strip-unneeded "$tree/usr/lib/depa/ccr-trainer"
    else
        echo "deb: depa-ccr is made without the worker; --trainer FILE names it" >&2
    fi
    finish "confidential clean room and its agent" "Trains on sealed data in an attested room; the model leaves sealed."
fi
if begin depa-cli "$depa" depa; then
    finish "participants' command of the DEPA clean-room platform" "Keys, datasets, contracts, jobs, audits."
fi
