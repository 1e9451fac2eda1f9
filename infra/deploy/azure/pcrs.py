"""Computes what a measured image must show in PCRs 4, 9, 11 and 12, out of its unified kernel image: nothing is booted.

    python3 infra/deploy/azure/pcrs.py room.efi                        values for an image set, as JSON
    python3 infra/deploy/azure/pcrs.py room.efi --phases               and what systemd adds to PCR 11 while it starts
    python3 infra/deploy/azure/pcrs.py room.efi --compare measured.json   beside what `ccr measure` printed on the machine

The image is one PE file, started by the firmware itself, with kernel, initrd and command line inside (systemd-stub 252, Linux 5.18 or
newer), root on dm-verity whose root hash stands in the command line. PCR 7 holds the firmware's keys for Secure
Boot and is read from the machine (`ccr measure`). Exit code 1: a value differs.
"""

import argparse
import hashlib
import json
import re
import struct
import sys

# In the order in which systemd-stub 252 (Debian 12) measures them; later ones measure more. .pcrsig signs the result.
STUB = "252"
SECTIONS = [".linux", ".osrel", ".cmdline", ".initrd", ".splash", ".dtb", ".pcrkey"]
PHASES = ["enter-initrd", "leave-initrd", "sysinit", "ready"]


def sha256(data):
    return hashlib.sha256(data).digest()


class Register:
    """A PCR: it starts as zeros, and each digest is hashed onto it."""

    def __init__(self):
        self.value = bytes(32)

    def extend(self, digest):
        self.value = sha256(self.value + digest)


class Image:
    """A PE file."""

    def __init__(self, data):
        self.data = data
        if data[:2] != b"MZ":
            raise ValueError("not a PE file")
        self.pe = struct.unpack_from("<I", data, 0x3C)[0]
        if data[self.pe : self.pe + 4] != b"PE\0\0":
            raise ValueError("not a PE file")
        count, self.optional_size = struct.unpack_from("<H", data, self.pe + 6)[0], struct.unpack_from("<H", data, self.pe + 20)[0]
        self.optional = self.pe + 24
        magic = struct.unpack_from("<H", data, self.optional)[0]
        if magic not in (0x10B, 0x20B):
            raise ValueError("not a PE file that is known")
        self.directories = self.optional + (96 if magic == 0x10B else 112)
        table = self.optional + self.optional_size
        self.sections = []
        for at in range(table, table + 40 * count, 40):
            name = data[at : at + 8].rstrip(b"\0").decode("ascii", "replace")
            virtual, _, size, begin = struct.unpack_from("<IIII", data, at + 8)
            self.sections.append((name, virtual, size, begin))

    def section(self, name):
        """A section's content without the padding to the file's alignment."""
        for found, virtual, size, begin in self.sections:
            if found == name:
                return self.data[begin : begin + min(virtual or size, size)]
        return None

    def authenticode(self):
        """What firmware measures of an image that it starts: all of it but checksum, certificates and where they lie."""
        checksum = self.optional + 64
        header_end = struct.unpack_from("<I", self.data, self.optional + 60)[0]
        certificates, length = 0, 0
        count = struct.unpack_from("<I", self.data, self.directories - 4)[0]
        entry = self.directories + 4 * 8
        state = hashlib.sha256(self.data[:checksum])
        if count > 4:
            certificates, length = struct.unpack_from("<II", self.data, entry)
            state.update(self.data[checksum + 4 : entry])
            state.update(self.data[entry + 8 : header_end])
        else:
            state.update(self.data[checksum + 4 : header_end])
        hashed = header_end
        for _, _, size, begin in sorted(self.sections, key=lambda one: one[3]):
            if size:
                state.update(self.data[begin : begin + size])
                hashed += size
        end = len(self.data) - (length if certificates else 0)
        if end > hashed:
            state.update(self.data[hashed:end])
        # A file without certificates counts as if it were filled up to eight bytes, as a signer would.
        if not certificates and len(self.data) % 8:
            state.update(bytes(8 - len(self.data) % 8))
        return state.digest()


def boot_stages(image, kernel):
    """PCR 4: that the firmware goes to a boot option, that the operating system begins, and each image that it starts."""
    register = Register()
    register.extend(sha256(b"Calling EFI Application from Boot Option"))
    register.extend(sha256(bytes(4)))
    register.extend(image.authenticode())
    # The stub hands the kernel inside to the firmware, which measures it too.
    register.extend(Image(kernel).authenticode())
    return register.value


def kernel_inputs(command_line, initrd):
    """PCR 9: what Linux measures of what it was given, the command line as UTF-16 with its end."""
    register = Register()
    register.extend(sha256((command_line.decode("utf-8") + "\0").encode("utf-16-le")))
    # Handed over filled up to four bytes, as the stub packs it.
    register.extend(sha256(initrd + bytes(-len(initrd) % 4)))
    return register.value


def unified_image(image, phases):
    """PCR 11: name and content of each section, by systemd-stub; and the phases of the start, by systemd-pcrphase."""
    register = Register()
    for name in SECTIONS:
        content = image.section(name)
        if content is not None:
            register.extend(sha256(name.encode() + b"\0"))
            register.extend(sha256(content))
    for phase in phases:
        register.extend(sha256(phase.encode()))
    return register.value


def computed(data, phases):
    image = Image(data)
    stub = re.match(rb"#### LoaderInfo: systemd-stub (\d+)", image.section(".sdmagic") or b"")
    if stub is None or stub[1].decode() != STUB:
        raise ValueError(f"its stub is not systemd-stub {STUB}: what others measure is not known here (systemd-measure of that release tells)")
    kernel, initrd, command_line = (image.section(name) for name in (".linux", ".initrd", ".cmdline"))
    if kernel is None or initrd is None or command_line is None:
        raise ValueError("not a unified kernel image: .linux, .initrd and .cmdline are needed")
    return {
        "4": boot_stages(image, kernel).hex(),
        "9": kernel_inputs(command_line.rstrip(b"\0"), initrd).hex(),
        "11": unified_image(image, phases).hex(),
        # Nothing is added to a sealed command line: no credentials, no system extensions.
        "12": bytes(32).hex(),
    }


def main():
    parser = argparse.ArgumentParser(description="PCRs of a unified kernel image")
    parser.add_argument("image")
    parser.add_argument("--phases", action="store_true", help="systemd starts the image and measures its phases")
    parser.add_argument("--compare", metavar="FILE", help="what ccr measure printed")
    asked = parser.parse_args()
    try:
        with open(asked.image, "rb") as file:
            pcrs = computed(file.read(), PHASES if asked.phases else [])
    except (OSError, ValueError, struct.error) as error:
        sys.exit(f"pcrs: {asked.image}: {error}")
    if not asked.compare:
        print(json.dumps({"image": asked.image, "pcrs": pcrs}, indent=1))
        return 0
    with open(asked.compare, encoding="utf-8") as file:
        shown = json.load(file)["pcrs"]
    bad = 0
    for number, value in pcrs.items():
        same = shown.get(number) == value
        bad |= not same
        print(f"PCR {number}: {'agrees' if same else f'differs: computed {value}, measured {shown.get(number)}'}")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
