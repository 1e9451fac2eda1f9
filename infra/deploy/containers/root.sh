#!/bin/sh
# Makes the whole root of an image without a distribution: files and folders of this Debian, the shared libraries that they
# name, the C library's loader, certificate authorities, one user. No shell, no package manager, nothing that may be written
# but /tmp. What belongs to which Debian package, in which version, stands in var/lib/dpkg/status.d, where scanners look for
# it, with the packages' licences in usr/share/doc.
#
#   sh infra/deploy/containers/root.sh OUT PATH…    OUT: a new folder; PATH: absolute, kept where it is
set -eu
[ $# -ge 2 ] || { echo "root: usage: root.sh OUT PATH…" >&2 && exit 2; }
out=$1
shift
[ ! -e "$out" ] || { echo "root: $out is there already" >&2 && exit 1; }
umask 022
mkdir -p "$out"
list=$(mktemp)
trap 'rm -f "$list"' EXIT

# bring FILE: to the same place, links followed.
bring() {
    mkdir -p "$out$(dirname "$1")"
    cp -L "$1" "$out$1"
    echo "$1" >>"$list"
}

for path in "$@"; do
    case $path in
    /*) ;;
    *)
        echo "root: $path is no absolute path" >&2
        exit 2
        ;;
    esac
    mkdir -p "$out$(dirname "$path")"
    cp -R -L "$path" "$out$path"
    [ ! -f "$path" ] || echo "$path" >>"$list"
done
for path in "$@"; do
    [ -f "$path" ] || continue
    libraries=$(ldd "$path") || { echo "root: $path is no dynamic program" >&2 && exit 1; }
    case $libraries in
    *'not found'*)
        echo "root: $path: $libraries" >&2
        exit 1
        ;;
    esac
    # Both "name => /path (0x…)" and the loader's "/path (0x…)"; what a given folder holds is there.
    for library in $(echo "$libraries" | sed -n -e 's/.*=> \(\/[^ ]*\) .*/\1/p' -e 's/^[[:space:]]*\(\/[^ ]*\) .*/\1/p'); do
        [ -e "$out$library" ] || bring "$library"
    done
done
bring /etc/ssl/certs/ca-certificates.crt
bring /etc/ssl/openssl.cnf
# Where Debian's OpenSSL looks; the authorities as the one file that it reads.
mkdir -p "$out/usr/lib/ssl"
ln -s /etc/ssl/openssl.cnf "$out/usr/lib/ssl/openssl.cnf"
ln -s /etc/ssl/certs "$out/usr/lib/ssl/certs"
ln -s /etc/ssl/certs/ca-certificates.crt "$out/usr/lib/ssl/cert.pem"
mkdir -p "$out/etc/depa" "$out/run" "$out/var/lib"
install -d -m 1777 "$out/tmp"
echo 'depa:x:10001:10001::/var/lib/depa:/nonexistent' >"$out/etc/passwd"
echo 'depa:x:10001:' >"$out/etc/group"
echo 'hosts: files dns' >"$out/etc/nsswitch.conf"

status=$out/var/lib/dpkg/status.d
mkdir -p "$status"
# Debian lists a file under /lib or under /usr/lib, which are one; authorities are made of a package's files.
packages=$(sort -u "$list" | while read -r file; do
    printf '%s\n' "$(readlink -f "$file")" "$file" "${file#/usr}" "/usr$file"
done | sort -u | xargs dpkg-query --search 2>/dev/null | sed -n 's/^\([^:, ]*\).*: .*/\1/p' | sort -u)
for package in $packages ca-certificates; do
    dpkg-query --status "$package" >"$status/$package"
    mkdir -p "$out/usr/share/doc/$package"
    cp -L "/usr/share/doc/$package/copyright" "$out/usr/share/doc/$package/"
done
find "$out" -type f -perm /6000 | grep . && echo "root: the files above change who runs them" >&2 && exit 1
chmod -R go-w "$out"
chmod 1777 "$out/tmp"
echo "$(find "$out" -type f | wc -l) files, $(find "$status" -type f | wc -l) Debian packages"
