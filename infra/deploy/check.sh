#!/bin/sh
# Checks what operators are given, as far as this machine can: units, Debian packages, container files, chart, Terraform, alert
# rules and dashboard, licences and bill of materials. Nothing is started, nothing outside .build is written. Tools that are
# missing give NOT RUN lines; Python ones are fetched into .build/deploy by their digests.
#
#   sh infra/deploy/check.sh             every check that can be made here
#   sh infra/deploy/check.sh --no-fetch  without fetching Python packages
#   sh infra/deploy/check.sh --full      lintian too, and every component of the bill of materials
#
# More of it is checked where these Debian packages are installed: golang-go golang-github-masterminds-sprig-dev
# golang-gopkg-yaml.v3-dev (renders the chart), prometheus, lintian, shellcheck, nginx-light. Ends with 1 if a check failed.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
here=infra/deploy
fetch=yes full=no
case ${1:-} in
'') ;;
--no-fetch) fetch=no ;;
--full) full=yes ;;
*)
    echo "check: unknown argument $1; known: --no-fetch, --full" >&2
    exit 2
    ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0 passed=0
not_run() { printf 'NOT RUN %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
# check NAME COMMAND…: what it says is shown where it failed, its last line otherwise.
check() {
    what=$1
    shift
    began=$(date +%s)
    if "$@" >"$work/said" 2>&1; then
        grep '^NOT RUN\|: NOT RUN\|is stale' "$work/said" || :
        printf "ok      %s: %s (%s s)\n" "$what" "$(sed "/^$/d" "$work/said" | tail -n 1)" "$(($(date +%s) - began))"
        passed=$((passed + 1))
    else
        printf 'FAILED  %s\n' "$what"
        sed 's/^/        /' "$work/said"
        bad=$((bad + 1))
    fi
}

# --- Python's tools --------------------------------------------------------------------------------------------------
tools=.build/deploy
python=
for candidate in python3.11 python3; do
    if [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = 3.11 ]; then
        python=$candidate
        break
    fi
done
if [ -n "$python" ] && [ $fetch = yes ] && ! cmp -s $here/check/tools.txt $tools/made-of; then
    rm -rf "$tools"
    mkdir -p .build
    if "$python" -m venv "$tools" >"$work/venv" 2>&1 &&
        "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
            --requirement $here/check/tools.txt >>"$work/venv" 2>&1; then
        cp $here/check/tools.txt "$tools/made-of"
    else
        rm -rf "$tools"
        tail -n 3 "$work/venv" >&2
    fi
fi
py=
[ ! -e $tools/made-of ] || py=$tools/bin/python

# --- systemd ---------------------------------------------------------------------------------------------------------
units() {
    mkdir -p "$work/units"
    most=0 count=0
    for unit in "$here"/systemd/*.service; do
        copy=$work/units/$(basename "$unit")
        # The binaries are not installed here, nor are the users.
        sed -E 's#^(ExecStart=)/usr/bin/[a-z-]+#\1/bin/true#' "$unit" >"$copy"
        systemd-analyze verify --man=no "$copy" >"$work/verify" 2>&1 || { cat "$work/verify" && return 1; }
        # Words about this machine's own units are not ours.
        if grep -F "$(basename "$unit")" "$work/verify"; then return 1; fi
        systemd-analyze security --offline=yes --threshold=30 "$copy" >"$work/security" || { tail -n 1 "$work/security" && return 1; }
        exposure=$(sed -n 's/.*Overall exposure level for .*: \([0-9.]*\).*/\1/p' "$work/security")
        count=$((count + 1))
        most=$(printf '%s\n%s\n' "$most" "$exposure" | sort -n | tail -n 1)
    done
    echo "$count units, exposure at most $most of 10"
}
if have systemd-analyze; then check "systemd units (verify, security)" units; else not_run "systemd units: systemd-analyze is missing"; fi

# --- Debian packages -------------------------------------------------------------------------------------------------
packages() {
    binaries=${CARGO_TARGET_DIR:-target}/production
    for binary in contract-service kms-adapter payment-adapter ccr; do
        [ -x "$binaries/$binary" ] || binaries=$work/stand-in
    done
    mkdir -p "$work/stand-in"
    for binary in contract-service kms-adapter payment-adapter ccr depa; do cp /bin/true "$work/stand-in/$binary"; done
    # Stand-ins pack the same way, in a second; what the real ones need is asked once of one of them.
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
    export SOURCE_DATE_EPOCH
    for out in one two; do
        sh $here/deb.sh --binaries "$work/stand-in" --out "$work/$out" >"$work/deb" 2>&1 || { cat "$work/deb" && return 1; }
    done
    for deb in "$work"/one/*.deb; do
        cmp "$deb" "$work/two/$(basename "$deb")" || return 1
    done
    if [ "$binaries" != "$work/stand-in" ]; then
        mkdir -p "$work/real"
        cp "$binaries/kms-adapter" "$work/real/"
        sh $here/deb.sh --binaries "$work/real" --out "$work/real-deb" >"$work/deb" 2>&1 || { cat "$work/deb" && return 1; }
        dpkg-deb --field "$work"/real-deb/depa-kms-adapter_*.deb Depends | grep -q 'libpq5.*libssl3' || {
            echo "the package of the key service does not ask for libpq5 and libssl3" && return 1
        }
    fi
    install_and_remove
}
# Into a root of its own, scripts included; users and folders are made there, and keys outlive the package.
install_and_remove() {
    system=$work/root
    mkdir -p "$system/var/lib/dpkg/info" "$system/var/lib/dpkg/updates" "$system/var/lib/dpkg/triggers" "$system/etc"
    : >"$system/var/lib/dpkg/status"
    : >"$system/var/lib/dpkg/available"
    set -- --root="$system" --force-script-chrootless --force-depends --force-bad-path --log=/dev/null
    dpkg "$@" --install "$work"/one/*.deb >"$work/dpkg" 2>&1 || { cat "$work/dpkg" && return 1; }
    if have systemd-sysusers; then
        for user in depa-sro depa-witness depa-kms depa-payments depa-ccr; do
            grep -q "^$user:" "$system/etc/passwd" || { echo "no user $user" && return 1; }
        done
        [ "$(stat -c %a "$system/var/lib/depa-kms")" = 700 ] || { echo "the key service's folder is open" && return 1; }
    fi
    echo secret >"$system/var/lib/depa-kms/root.key"
    echo changed >>"$system/etc/depa/kms.env"
    dpkg "$@" --install "$work"/two/depa-kms-adapter_*.deb >"$work/dpkg" 2>&1 || { cat "$work/dpkg" && return 1; }
    grep -q changed "$system/etc/depa/kms.env" || { echo "an upgrade wrote over /etc/depa/kms.env" && return 1; }
    dpkg "$@" --purge depa-ccr depa-cli depa-contract-service depa-kms-adapter depa-payment-adapter >"$work/dpkg" 2>&1 || { cat "$work/dpkg" && return 1; }
    [ -e "$system/var/lib/depa-kms/root.key" ] || { echo "a purge took the root key away" && return 1; }
    [ ! -e "$system/usr/bin/kms-adapter" ] || { echo "a purge left the binary" && return 1; }
    echo "5 packages, twice the same bytes, installed, upgraded and purged in a root of their own; keys stay"
}
if have dpkg-deb && have dpkg-shlibdeps; then
    if [ "$(id -u)" = 0 ]; then check "Debian packages" packages; else not_run "Debian packages: installing in a root of their own needs root"; fi
else
    not_run "Debian packages: dpkg-dev is missing"
fi
lint() {
    lintian --fail-on error --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog,no-manual-page \
        --allow-root "$work"/one/*.deb && echo "no error"
}
if [ $full = no ]; then
    : # Lintian takes longer than all the rest.
elif have lintian && [ -d "$work/one" ]; then
    check "lintian" lint
else
    not_run "lintian: not installed, or there are no packages"
fi

# --- containers ------------------------------------------------------------------------------------------------------
if [ -n "$py" ]; then
    containers() { "$tools/bin/hadolint" --failure-threshold info $here/containers/Containerfile && echo "no word"; }
    check "container file (hadolint)" containers
else
    not_run "container file: hadolint cannot be had"
fi
if have cargo && [ -n "$python" ]; then
    check "container file: what it names" "$python" $here/check/containers.py $here/containers/Containerfile $here/helm
else
    not_run "container file: what it names: cargo or Python is missing"
fi
# The roots that images are made of, from this Debian: each binary answers in its own, as the user of the image; no shell does.
roots() {
    count=0 asked=0
    for binary in contract-service kms-adapter payment-adapter; do
        built=${CARGO_TARGET_DIR:-target}/production/$binary
        [ -x "$built" ] || continue
        built=$(realpath "$built")
        rm -rf "$work/image"
        sh $here/containers/root.sh "$work/image" "$built" /bin/sleep || return 1
        chroot --userspec=10001:10001 "$work/image" "$built" --version || return 1
        # What HEALTHCHECK asks is answered without a shell too: no configuration is no good health, in one sentence.
        code=0
        chroot --userspec=10001:10001 "$work/image" "$built" healthy --config /etc/depa/none.toml >"$work/healthy" 2>&1 || code=$?
        if [ "$code" = 2 ] && ! chroot --userspec=10001:10001 "$work/image" "$built" --help | grep -q healthy; then
            echo "NOT RUN $binary healthy: $built was built before the command was there (sh infra/production.sh)"
        elif [ "$code" != 1 ] || [ "$(grep -c UNAVAILABLE "$work/healthy")" != 1 ]; then
            echo "$binary healthy ended with $code" && cat "$work/healthy" && return 1
        else
            asked=$((asked + 1))
        fi
        if find "$work/image" \( -name sh -o -name '*bash' -o -name dash -o -name perl \) ! -type d | grep .; then return 1; fi
        if find "$work/image" ! -type l -perm /022 ! -path "$work/image/tmp" | grep .; then return 1; fi
        [ -s "$work/image/var/lib/dpkg/status.d/libssl3" ] || { echo "nothing says that OpenSSL is in it" && return 1; }
        count=$((count + 1))
    done
    rm -rf "$work/image"
    echo "$count binaries answer in a root of their own, without a shell in it; $asked say whether a service is well"
}
if [ "$(id -u)" != 0 ]; then
    not_run "roots of container images: chroot needs root"
elif [ ! -x "${CARGO_TARGET_DIR:-target}/production/kms-adapter" ]; then
    not_run "roots of container images: sh infra/production.sh has built nothing"
else
    check "roots of container images" roots
fi
not_run "container images: no registry of base images is reached from a test"

# --- chart -----------------------------------------------------------------------------------------------------------
render() {
    if ! cmp -s $here/check/render.go .build/render.go; then
        GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$root/.build/go" go build -o .build/render $here/check/render.go || return 1
        cp $here/check/render.go .build/render.go
    fi
    documents=0
    rm -rf "$work/proxies"
    for set in all outside-database; do
        .build/render $here/helm trial "$here/check/values-$set.yaml" >"$work/$set.yaml" || return 1
        "$py" $here/check/chart.py "$work/$set.yaml" "$work/proxies" >"$work/judged" || { cat "$work/judged" && return 1; }
        cat "$work/judged"
        documents=$((documents + $(sed -n 's/^\([0-9]*\) documents, .*/\1/p' "$work/judged")))
    done
    # A service without a database is refused, and so is a key service without its provider.
    if .build/render $here/helm trial >/dev/null 2>"$work/refused"; then echo "the chart renders without a database" && return 1; fi
    grep -q 'database.url' "$work/refused" || { cat "$work/refused" && return 1; }
    echo "2 sets of values rendered, $documents documents valid"
}
if [ -n "$py" ]; then
    check "chart: values" "$py" $here/check/chart.py --values $here/helm $here/check/values-all.yaml $here/check/values-outside-database.yaml
    if have go && [ -d /usr/share/gocode/src/github.com/Masterminds/sprig ] && [ -d /usr/share/gocode/src/gopkg.in/yaml.v3 ]; then
        check "chart: rendered, schemas of Kubernetes" render
    else
        not_run "chart: rendered: Go and its libraries are missing (see the head of $here/check.sh)"
    fi
else
    not_run "chart: Python 3.11 or its packages cannot be had"
fi
# One of nginx's configurations, with its files where this check has them: the file, the folder of those that it includes.
read_proxy() {
    mkdir -p "$work/run"
    sed -e "s#/etc/depa/tls#$work#" -e "s#/etc/depa/metrics#$2/metrics#" -e "s#/run/depa-proxy#$work/run#" "$1" >"$work/nginx.conf"
    nginx -t -q -e stderr -c "$work/nginx.conf"
}
proxies() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=kms.example \
        -keyout "$work/tls.key" -out "$work/tls.crt" 2>/dev/null || return 1
    read_proxy $here/helm/nginx.conf "$work/none" || return 1
    count=1
    for folder in "$work"/proxies/*/; do
        [ -d "$folder" ] || continue
        main=$folder/nginx.conf
        [ -e "$main" ] || main=$folder/metrics.conf
        read_proxy "$main" "$folder" || { cat "$work/nginx.conf" && return 1; }
        count=$((count + 1))
    done
    echo "$count read"
}
if have nginx; then check "proxies (nginx -t)" proxies; else not_run "proxies: nginx is missing"; fi

# --- Azure -----------------------------------------------------------------------------------------------------------
if have terraform; then
    form() { terraform fmt -check -diff $here/azure 2>/dev/null && echo formed; }
    check "Terraform: form" form
else
    not_run "Terraform: form: terraform is missing"
fi
if [ -n "$py" ]; then check "Terraform: names" "$py" $here/check/terraform.py $here/azure; else not_run "Terraform: names: hcl2 cannot be had"; fi
not_run "Terraform: plan: the provider and a cloud are not reached from a test"

stub=/usr/lib/systemd/boot/efi/linuxx64.efi.stub
measure=/usr/lib/systemd/systemd-measure
# A unified image whose kernel is the stub itself, another PE file: PCR 11 as systemd says it, the image's digest as a signer does.
unified() {
    objcopy --add-section .osrel="$work/osrel" --change-section-vma .osrel=0x20000 --add-section .cmdline="$work/cmdline" \
        --change-section-vma .cmdline=0x30000 --add-section .linux=$stub --change-section-vma .linux=0x2000000 \
        --add-section .initrd="$work/initrd" --change-section-vma .initrd=0x4000000 $stub "$work/room.efi"
}
pcrs() {
    printf 'console=ttyS0' >"$work/cmdline"
    printf 'ID=depa\n' >"$work/osrel"
    head -c 5001 $here/check.sh >"$work/initrd"
    unified || return 1
    for phases in '' enter-initrd:leave-initrd:sysinit:ready; do
        wanted=$($measure calculate --linux=$stub --osrel="$work/osrel" --cmdline="$work/cmdline" --initrd="$work/initrd" \
            --bank=sha256 --phase=":$phases" | sed -n 's/^11:sha256=//p')
        "$python" $here/azure/pcrs.py "$work/room.efi" ${phases:+--phases} >"$work/pcrs.json" || return 1
        grep -q "\"11\": \"$wanted\"" "$work/pcrs.json" || { echo "PCR 11: systemd says $wanted" && cat "$work/pcrs.json" && return 1; }
    done
    "$python" $here/azure/pcrs.py "$work/room.efi" --phases --compare "$work/pcrs.json" >/dev/null || { echo "it does not agree with itself" && return 1; }
    printf ' ' >>"$work/initrd"
    unified || return 1
    if "$python" $here/azure/pcrs.py "$work/room.efi" --phases --compare "$work/pcrs.json" >"$work/other"; then echo "another initrd agrees" && return 1; fi
    [ "$(grep -c differs "$work/other")" = 3 ] || { cat "$work/other" && return 1; }
    echo "PCR 11 as systemd-measure says; another initrd changes PCRs 4, 9 and 11"
}
if [ -e $stub ] && [ -x $measure ] && [ -n "$python" ] && have objcopy; then
    check "expected PCRs of a unified image" pcrs
else
    not_run "expected PCRs of a unified image: systemd-boot-efi, systemd-measure or binutils is missing"
fi

# image.sh refuses, with 2 and before it makes anything: each line is arguments | a word of the sentence.
image_arguments() {
    image=$work/room
    mkdir -p "$image/etc" "$image/keyed" "$image/linked" "$image/half"
    touch "$image/ccr.deb" "$image/half/ccr.toml"
    for folder in etc keyed linked; do touch "$image/$folder/ccr.toml" "$image/$folder/trust.json" "$image/$folder/agent.env"; done
    echo '-----BEGIN PRIVATE KEY-----' >"$image/keyed/tls.pem"
    ln -s /etc/shadow "$image/linked/more"
    head -c 5000 $here/check.sh >"$image/large"
    count=0
    while IFS='|' read -r arguments word; do
        code=0
        # shellcheck disable=SC2086 # Several words.
        (cd "$image" && sh "$root/$here/azure/image.sh" $arguments --out "$image/out") >"$work/said-image" 2>&1 || code=$?
        if [ "$code" != 2 ] || ! grep -q -e "$word" "$work/said-image" || [ -e "$image/out" ]; then
            echo "image.sh $arguments: ended with $code" && cat "$work/said-image" && return 1
        fi
        count=$((count + 1))
    done <<EOF
|--deb is needed
--deb none.deb|none.deb is not there
--shell yes|unknown argument --shell
--deb ccr.deb|--etc is needed
--deb ccr.deb --etc half|trust.json is not there
--deb ccr.deb --etc keyed|holds a key
--deb ccr.deb --etc linked|neither a file nor a folder
--deb ccr.deb --etc etc --sources none.list|none.list is not there
--deb ccr.deb --etc etc --libtorch etc|etc/lib is not there
--deb ccr.deb --etc etc --sign-key large|go together
--deb ccr.deb --etc etc --provider-key large|larger than a key
EOF
    sh $here/azure/image.sh --help | grep -q 'Untested on Azure' || { echo "--help does not say that it is untested" && return 1; }
    echo "$count wrong calls refused, nothing made"
}
check "measured image: arguments" image_arguments
not_run "measured image: made, booted: it needs root, Debian's mirrors and minutes (docs/operate/files.md); on Azure: never"

# --- Prometheus, Grafana ---------------------------------------------------------------------------------------------
if [ -n "$python" ]; then
    check "metrics of dashboard and alerts" "$python" $here/check/metrics.py "$work/dashboard.json"
else
    not_run "metrics of dashboard and alerts: Python 3.11 is missing"
fi
alerts() { promtool check rules "$work/dashboard.json" && promtool test rules $here/prometheus/alerts_test.yml && promtool check rules $here/prometheus/alerts.yml; }
if have promtool; then check "alert rules (promtool)" alerts; else not_run "alert rules: promtool is missing (Debian: prometheus)"; fi

# --- shell, supply ---------------------------------------------------------------------------------------------------
shells() { shellcheck -x $here/*.sh $here/debian/p* $here/debian/depa-fetch-libtorch $here/containers/root.sh $here/azure/*.sh infra/supply.sh infra/supply/*.sh && echo "no word"; }
if have shellcheck; then check "shell scripts" shells; else not_run "shell scripts: shellcheck is missing"; fi
quick=--quick
[ $full = no ] || quick=
# shellcheck disable=SC2086 # One word or none.
if have cargo; then check "licences, sources, bill of materials" sh infra/supply.sh $quick; else not_run "licences: cargo is missing"; fi

echo "deploy: $passed passed, $bad failed"
[ "$bad" = 0 ]
