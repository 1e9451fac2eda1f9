#!/bin/sh
# Makes the measured image of a clean room, from Debian 12's packages and the project's: a unified kernel image, a root on dm-verity
# whose root hash stands in its command line, and the disk that holds both. Says what the image must measure to.
#
# Untested on Azure. docs/operate/files.md says what was tried, and where.
#
#   sh infra/deploy/azure/image.sh --deb depa-ccr_….deb --deb depa-cli_….deb --etc DIR
#   --deb FILE            a package of the project (infra/deploy/deb.sh); depa-ccr and depa-cli are needed
#   --etc DIR             laid over /etc/depa: ccr.toml, trust.json and agent.env are needed; no key, the image is no secret
#   --libtorch DIR        what the worker finds beside it (infra/libtorch.py makes it); none: the room trains nothing
#   --out DIR             where the files go, a new folder (.build/image)
#   --sources FILE        apt's sources, of a snapshot for builds that others repeat; Debian 12's mirrors otherwise
#   --kernel PACKAGE      another kernel of those sources (linux-image-cloud-amd64)
#   --provider-key FILE   the clean-room provider's key, in a partition of its own; it is not measured, the disk is secret then
#   --sign-key FILE --sign-cert FILE
#                         signs room.efi for Secure Boot (sbsigntool); the firmware has to know the certificate
#   --help                this text
#
# Needs root and the Debian packages mmdebstrap, erofs-utils, cryptsetup-bin, systemd-boot-efi (252), binutils, dosfstools, mtools,
# fdisk, qemu-utils and python3; 3 GB in TMPDIR. Two calls over the same arguments, sources, commit and SOURCE_DATE_EPOCH
# give the same bytes.
set -eu
here=$(dirname "$(realpath "$0")")
stub=/usr/lib/systemd/boot/efi/linuxx64.efi.stub
say() { printf 'image: %s\n' "$*" >&2; }
wrong() { say "$@" && exit 2; }
failed() { say "$@" && exit 1; }

debs='' etc='' libtorch='' out=.build/image sources='' kernel=linux-image-cloud-amd64 provider_key='' sign_key='' sign_cert=''
while [ $# -gt 0 ]; do
    if [ "$1" = --help ]; then
        sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0"
        exit 0
    fi
    [ $# -ge 2 ] || wrong "$1 needs a value"
    case $1 in
    --deb)
        [ -f "$2" ] || wrong "$2 is not there"
        debs="$debs$(realpath "$2")
"
        ;;
    --etc) etc=$2 ;;
    --libtorch) libtorch=$2 ;;
    --out) out=$2 ;;
    --sources) sources=$2 ;;
    --kernel) kernel=$2 ;;
    --provider-key) provider_key=$2 ;;
    --sign-key) sign_key=$2 ;;
    --sign-cert) sign_cert=$2 ;;
    *) wrong "unknown argument $1; --help names those that are known" ;;
    esac
    shift 2
done
[ -n "$debs" ] || wrong "--deb is needed: depa-ccr and depa-cli"
[ -n "$etc" ] || wrong "--etc is needed: a folder with ccr.toml, trust.json and agent.env"
for file in ccr.toml trust.json agent.env; do
    [ -f "$etc/$file" ] || wrong "$etc/$file is not there"
done
# What the root holds is read by everybody who gets the disk.
if find "$etc" -name '*.key' | grep -q . || grep -rqsE 'PRIVATE KEY|"d"[[:space:]]*:|whsec_' "$etc"; then wrong "$etc holds a key: the image is no secret"; fi
if find "$etc" ! -type f ! -type d | grep -q .; then wrong "$etc holds what is neither a file nor a folder"; fi
for file in "$sources" "$provider_key" "$sign_key" "$sign_cert"; do
    [ -z "$file" ] || [ -f "$file" ] || wrong "$file is not there"
done
[ -z "$libtorch" ] || [ -d "$libtorch/lib" ] || wrong "$libtorch/lib is not there"
[ -z "$sign_key$sign_cert" ] || { [ -n "$sign_key" ] && [ -n "$sign_cert" ]; } || wrong "--sign-key and --sign-cert go together"
[ -z "$provider_key" ] || [ "$(stat -c %s "$provider_key")" -le 4096 ] || wrong "$provider_key is larger than a key"
[ ! -e "$out" ] || wrong "$out is there already"
[ "$(id -u)" = 0 ] || failed "making a root file system needs root"
for tool in mmdebstrap mkfs.erofs veritysetup objcopy mkfs.vfat mcopy sfdisk qemu-img python3 dpkg-deb ${sign_key:+sbsign}; do
    command -v "$tool" >/dev/null || failed "$tool is missing; the head of this script names the packages"
done
[ -e $stub ] || failed "$stub is missing (Debian: systemd-boot-efi)"

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C.UTF-8
umask 022
work=$(mktemp -d) began=$PWD
# Its mounts are in a namespace of their own, so that none is there when this folder goes, however it ends.
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root

# --- the root file system --------------------------------------------------------------------------------------------
mkdir "$work/debs"
needed=''
printf '%s' "$debs" >"$work/list"
while read -r deb; do
    package=$(dpkg-deb -f "$deb" Package)
    cp "$deb" "$work/debs/$package.deb"
    # Python and pip are there to fetch libtorch, which is laid in here.
    needed=$needed$(dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed 's/[(|:].*//; s/ //g' | grep -v '^depa-\|^python3' | sed 's/^/,/' | tr -d '\n')
done <"$work/list"
for package in depa-ccr depa-cli; do
    [ -e "$work/debs/$package.deb" ] || wrong "no --deb is $package"
done

# What makes the initrd and what its hooks run goes out of the root again.
build="dracut-core,tpm2-tools,$kernel"
keep="systemd,udev,kmod,systemd-resolved,ca-certificates,tpm-udev"
out_again='(dracut|initramfs-tools|perl|libperl|dpkg|debconf)[a-z0-9.-]*|lib.*-perl|tpm2-tools|klibc-utils|libklibc|linux-base|usrmerge|bash|dash|login|passwd|adduser|cpio|diffutils'
# No other initrd is made meanwhile.
export INITRD=No
initrd_parts='systemd systemd-initrd systemd-veritysetup systemd-pcrphase dracut-systemd dm kernel-modules rootfs-block udev-rules fs-lib base'
cat >"$work/into" <<'HOOK'
set -eu
root=$1 debs=$2 parts=$3
mkdir "$root/debs"
cp "$debs"/*.deb "$root/debs/"
chroot "$root" sh -c 'dpkg --force-depends --install /debs/*.deb'
rm -r "$root/debs"
version=$(ls "$root/lib/modules")
chroot "$root" dracut --quiet --no-hostonly --no-early-microcode --reproducible --gzip --kver "$version" --modules "$parts" \
    --add-drivers 'dm_verity erofs hv_vmbus hv_storvsc pci_hyperv virtio_pci virtio_blk virtio_scsi' /initrd
HOOK
say "the root of $kernel and the packages"
unshare --mount mmdebstrap --quiet --mode=root --variant=essential --format=directory --include="$keep,$build$needed" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="sh '$work/into' \"\$1\" '$work/debs' '$initrd_parts'" \
    bookworm "$root" ${sources:+"$sources"} >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2 && failed "the root could not be made"; }
mv "$root/initrd" "$work/initrd"
cp "$root"/boot/vmlinuz-* "$work/linux"
cp "$root/usr/lib/os-release" "$work/osrel"
dpkg-query --root="$root" -W -f '${Package} ${Version} ${Architecture}\n' | sort >"$work/packages.txt"

# No shell, no login, no package manager.
cut -d' ' -f1 "$work/packages.txt" | grep -E -x "$out_again" >"$work/gone"
# All of them are listed before the first of them goes.
while read -r package; do dpkg-query --root="$root" -L "$package"; done <"$work/gone" | grep -v '^/etc/' >"$work/paths"
while read -r path; do
    [ -d "$root$path" ] || rm -f "$root$path"
done <"$work/paths"
cd "$root"
rm -rf boot usr/lib/dracut usr/lib/klibc* usr/share/doc usr/share/perl* usr/lib/*/perl* usr/sbin/agetty usr/sbin/sulogin usr/bin/su usr/bin/sh \
    usr/bin/systemd-nspawn usr/lib/systemd/systemd-sulogin-shell usr/sbin/depa-fetch-libtorch
# What the build left: times, copies, this machine's names.
rm -rf var run tmp dev vmlinuz* initrd* etc/apt etc/dpkg etc/passwd- etc/group- etc/shadow- etc/gshadow- etc/.pwd.lock
cd "$began"
mkdir -p "$root/var" "$root/run" "$root/tmp" "$root/dev" "$root/proc" "$root/sys"
if find "$root" \( -name sh -o -name '*bash' -o -name dash -o -name 'perl*' -o -name 'python3*' -o -name 'apt*' -o -name 'dpkg*' \
    -o -name 'sshd*' -o -name agetty -o -name login \) ! -type d -path '*bin/*' | grep . >&2; then failed "the root holds a way in"; fi
if awk -F: '$2 !~ /^[*!]/' "$root/etc/shadow" | grep . >&2; then failed "an account has a password"; fi

cp -R "$etc/." "$root/etc/depa/"
chown -R 0:0 "$root/etc/depa"
chmod -R u=rwX,go=rX "$root/etc/depa"
if [ -n "$libtorch" ]; then
    cp -R "$libtorch" "$root/usr/lib/depa/libtorch"
    chown -R 0:0 "$root/usr/lib/depa/libtorch"
    chmod -R u=rwX,go=rX "$root/usr/lib/depa/libtorch"
fi
{ [ -e "$root/usr/lib/depa/ccr-trainer" ] && [ -n "$libtorch" ]; } || say "without the worker and libtorch this room trains nothing"

# put FILE: what it reads goes there.
put() { mkdir -p "$(dirname "$root/$1")" && cat >"$root/$1"; }
echo room | put etc/hostname
printf '127.0.0.1 localhost room\n::1 localhost room\n' | put etc/hosts
: | put etc/machine-id
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
put etc/fstab <<'FILE'
tmpfs /tmp tmpfs mode=1777,nosuid,nodev,noexec 0 0
tmpfs /var tmpfs mode=0755,nosuid,nodev,noexec 0 0
FILE
put etc/systemd/network/80-room.network <<'FILE'
[Match]
Name=e*

[Network]
DHCP=yes
LLMNR=no
MulticastDNS=no

[DHCPv4]
UseHostname=no
UseNTP=no
FILE
put etc/sysctl.d/90-room.conf <<'FILE'
kernel.sysrq = 0
kernel.core_pattern = |/bin/false
kernel.kexec_load_disabled = 1
FILE
put etc/systemd/journald.conf.d/90-room.conf <<'FILE'
[Journal]
Storage=volatile
RuntimeMaxUse=64M
ForwardToConsole=no
FILE
# The key says who the provider is, no more: it comes from outside of what is measured, as bytes, and no file system is read for it.
put etc/systemd/system/depa-provider-key.service <<'FILE'
[Unit]
Description=Key of the clean-room provider
Before=depa-ccr-agent.service
ConditionPathExists=/dev/disk/by-partlabel/depa-provider-key

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/install -d -m 0700 -o depa-ccr -g depa-ccr /var/lib/depa-agent
ExecStart=/usr/bin/install -m 0600 -o depa-ccr -g depa-ccr /dev/disk/by-partlabel/depa-provider-key /var/lib/depa-agent/ccrp.key

[Install]
WantedBy=multi-user.target
FILE
# One run for each boot: evidence names the boot.
put etc/systemd/system/depa-ccr-agent.service.d/room.conf <<FILE
[Unit]
SuccessAction=reboot
FailureAction=reboot

[Service]
Restart=no
ExecStart=
ExecStart=$(sed -n '/^ExecStart=/,/[^\\]$/{s/^ExecStart=//;s/\\$//;s/^ *//;p;}' "$root/usr/lib/systemd/system/depa-ccr-agent.service" | tr -d '\n') --runs 1
FILE
for unit in getty.target getty@.service serial-getty@.service console-getty.service container-getty@.service emergency.service \
    rescue.service debug-shell.service ctrl-alt-del.target systemd-firstboot.service systemd-sysext.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
# Nothing that the host lays on another disk or hands to the firmware becomes a unit.
mkdir -p "$root/etc/systemd/system-generators"
for generator in cryptsetup debug getty gpt-auto hibernate-resume integritysetup rc-local run system-update sysv; do
    ln -sf /dev/null "$root/etc/systemd/system-generators/systemd-$generator-generator"
done
ln -sf /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
systemctl --quiet --root="$root" enable systemd-networkd systemd-resolved depa-provider-key depa-ccr-agent 2>"$work/log" ||
    { cat "$work/log" >&2 && failed "the services could not be enabled"; }

# --- what is measured ------------------------------------------------------------------------------------------------
# uuid TEXT: made of its digest.
uuid() { printf %s "$1" | sha256sum | sed -E 's/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/\1-\2-4\3-8\4-\5/'; }
say "the verity root"
mkfs.erofs -zlz4hc -T "$SOURCE_DATE_EPOCH" -U "$(uuid "depa-room $SOURCE_DATE_EPOCH")" "$work/root.erofs" "$root" >"$work/log" 2>&1 ||
    { tail -n 5 "$work/log" >&2 && failed "erofs could not be made"; }
rm -rf "$root"
digest=$(sha256sum "$work/root.erofs" | cut -d' ' -f1)
veritysetup format --uuid "$(uuid "$digest")" --salt "$digest" --hash sha256 --root-hash-file "$work/roothash" \
    "$work/root.erofs" "$work/root.verity" >/dev/null
roothash=$(cat "$work/roothash")
veritysetup verify "$work/root.erofs" "$work/root.verity" "$roothash" || failed "the root does not fit its hash"

# Nothing of the host's choice is read: no partitions by type, no swap, no credentials of firmware and hypervisor.
printf %s "root=/dev/mapper/root rootfstype=erofs ro roothash=$roothash systemd.verity=yes systemd.verity_root_options=panic-on-corruption" \
    " lockdown=confidentiality module.sig_enforce=1 rd.shell=0 rd.emergency=reboot panic=10 systemd.gpt_auto=no systemd.swap=no" \
    " systemd.import_credentials=no systemd.firstboot=no console=ttyS0" >"$work/cmdline"
mkdir -p "$out"
efi=$out/room.efi
[ "$(stat -c %s "$work/linux")" -lt $((0x2000000)) ] || failed "the kernel does not fit between the sections"
objcopy --add-section .osrel="$work/osrel" --change-section-vma .osrel=0x20000 \
    --add-section .cmdline="$work/cmdline" --change-section-vma .cmdline=0x30000 \
    --add-section .linux="$work/linux" --change-section-vma .linux=0x2000000 \
    --add-section .initrd="$work/initrd" --change-section-vma .initrd=0x4000000 $stub "$efi"
# objcopy writes the time of day and a checksum over it, which no firmware looks at.
python3 - "$efi" <<'PYTHON'
import os, struct, sys

with open(sys.argv[1], "r+b") as file:
    file.seek(0x3C)
    header = struct.unpack("<I", file.read(4))[0]
    file.seek(header + 8)
    file.write(struct.pack("<I", int(os.environ["SOURCE_DATE_EPOCH"]) & 0xFFFFFFFF))
    file.seek(header + 24 + 64)
    file.write(bytes(4))
    # Signers fill up to eight bytes and firmware does not: a whole number of them has one digest for both.
    file.write(bytes(-file.seek(0, os.SEEK_END) % 8))
PYTHON
[ -z "$sign_key" ] || sbsign --key "$sign_key" --cert "$sign_cert" --output "$efi" "$efi" >/dev/null 2>&1 || failed "room.efi could not be signed"
touch -d "@$SOURCE_DATE_EPOCH" "$efi"

# --- the disk --------------------------------------------------------------------------------------------------------
say "the disk"
mebibytes() { echo $((($(stat -c %s "$1") + 1048575) / 1048576)); }
disk=$out/room.raw
esp_size=$(($(mebibytes "$efi") + 8))
[ $esp_size -ge 64 ] || esp_size=64
root_size=$(mebibytes "$work/root.erofs") verity_size=$(mebibytes "$work/root.verity")
root_at=$((1 + esp_size))
verity_at=$((root_at + root_size))
key_at=$((verity_at + verity_size))
truncate -s $((key_at + 2))M "$disk"
halves=$(echo "$roothash" | sed -E 's/(.{8})(.{4})(.{4})(.{4})(.{12})/\1-\2-\3-\4-\5 /g')
{
    printf 'label: gpt\nlabel-id: %s\nunit: sectors\nfirst-lba: 2048\n' "$(uuid "disk $roothash")"
    printf 'start=1MiB, size=%sMiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=%s, name=esp\n' $esp_size "$(uuid "esp $roothash")"
    # Where systemd looks for the two halves of the root hash.
    printf 'start=%sMiB, size=%sMiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=%s, name=root, attrs=GUID:60\n' \
        $root_at "$root_size" "${halves%% *}"
    printf 'start=%sMiB, size=%sMiB, type=2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5, uuid=%s, name=root-verity, attrs=GUID:60\n' \
        $verity_at "$verity_size" "$(echo "$halves" | cut -d' ' -f2)"
    if [ -n "$provider_key" ]; then
        printf 'start=%sMiB, size=4KiB, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=%s, name=depa-provider-key\n' \
            $key_at "$(uuid "key $roothash")"
    fi
} | sfdisk --quiet --no-reread "$disk"
sfdisk --verify --quiet "$disk" || failed "the partition table is wrong"

truncate -s ${esp_size}M "$work/esp"
mkfs.vfat -F 32 -n ROOM -i "$(printf %.8s "$roothash")" --invariant "$work/esp" >/dev/null
mkdir -p "$work/tree/EFI/BOOT"
cp "$efi" "$work/tree/EFI/BOOT/BOOTX64.EFI"
find "$work/tree" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
mcopy -s -m -Q -i "$work/esp" "$work/tree/EFI" ::
# lay FILE MEBIBYTE: into the disk.
lay() { dd if="$1" of="$disk" bs=1M seek="$2" conv=notrunc,sparse status=none; }
lay "$work/esp" 1
lay "$work/root.erofs" $root_at
lay "$work/root.verity" $verity_at
if [ -n "$provider_key" ]; then
    # Filled up with ends of lines, which no reader of a key minds.
    { cat "$provider_key" && yes ''; } 2>/dev/null | head -c 4096 >"$work/key"
    chmod 0600 "$disk"
    lay "$work/key" $key_at
fi

# A fixed VHD is the disk and a footer, which says when and as what it was made: the commit's time, the root's name.
vhd=$out/room.vhd
(umask 077 && : >"$vhd")
qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on "$disk" "$vhd"
python3 - "$vhd" "$(uuid "vhd $roothash")" <<'PYTHON'
import os, struct, sys, uuid

with open(sys.argv[1], "r+b") as file:
    file.seek(-512, os.SEEK_END)
    footer = bytearray(file.read(512))
    assert footer[:8] == b"conectix", "no VHD"
    # Seconds since 2000.
    footer[24:28] = struct.pack(">I", max(0, int(os.environ["SOURCE_DATE_EPOCH"]) - 946684800))
    footer[68:84] = uuid.UUID(sys.argv[2]).bytes
    footer[64:68] = bytes(4)
    footer[64:68] = struct.pack(">I", ~sum(footer) & 0xFFFFFFFF)
    file.seek(-512, os.SEEK_END)
    file.write(footer)
PYTHON
[ $((($(stat -c %s "$vhd") - 512) % 1048576)) = 0 ] || failed "the VHD is no whole number of MiB"
[ -n "$provider_key" ] || chmod 0644 "$vhd"
cp "$work/packages.txt" "$out/packages.txt"
cp "$work/cmdline" "$out/cmdline.txt"

# --- what it is ------------------------------------------------------------------------------------------------------
cd "$out"
echo "roothash $roothash"
sha256sum room.efi room.raw room.vhd packages.txt cmdline.txt
echo "python3 $here/pcrs.py $PWD/room.efi --phases"
python3 "$here/pcrs.py" room.efi --phases
