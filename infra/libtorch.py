"""Unpacks libtorch for the trainer out of three wheels: `libtorch.py WHEELS LIST DEST`.

Only the zip format is read; nothing from the wheels is run. A wheel whose SHA-256 is not in LIST is refused.
DEST is made complete in a temporary folder beside it and then renamed, so it is either whole or absent.
"""

import hashlib
import pathlib
import re
import shutil
import sys
import tempfile
import zipfile

# (beginning of the wheel's file name, path in the wheel, path in DEST)
FILES = [
    ("torch-", "torch/lib/libtorch_cpu.so", "lib/libtorch_cpu.so"),
    ("torch-", "torch/lib/libc10.so", "lib/libc10.so"),
    ("torch-", "torch/lib/libgomp.so.1", "lib/libgomp.so.1"),
    ("torch-", "torch-2.11.0.dist-info/licenses/LICENSE", "licenses/torch-LICENSE"),
    ("torch-", "torch-2.11.0.dist-info/licenses/NOTICE", "licenses/torch-NOTICE"),
    ("nvidia_cuda_runtime-", "nvidia/cu13/lib/libcudart.so.13", "lib/libcudart.so.13"),
    ("nvidia_cuda_runtime-", "nvidia_cuda_runtime-13.0.96.dist-info/licenses/License.txt",
     "licenses/nvidia-cuda-runtime-License.txt"),
    ("nvidia_cuda_cupti-", "nvidia/cu13/lib/libcupti.so.13", "lib/libcupti.so.13"),
    ("nvidia_cuda_cupti-", "nvidia_cuda_cupti-13.0.85.dist-info/licenses/License.txt",
     "licenses/nvidia-cuda-cupti-License.txt"),
]


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def accepted(wheels, listed):
    """The wheels by the beginning of their names, each with a digest that the list names."""
    digests = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", listed.read_text()))
    found = {}
    for prefix in sorted({name for name, _, _ in FILES}):
        candidates = sorted(wheels.glob(prefix + "*.whl"))
        if not candidates:
            sys.exit(f"the wheel {prefix}*.whl is missing")
        if sha256(candidates[0]) not in digests:
            candidates[0].unlink()
            sys.exit(f"{candidates[0].name} does not have the digest in infra/libtorch.txt; it was removed, run again")
        found[prefix] = candidates[0]
    return found


def copy(archive, member, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, open(target, "wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)


def unpack(wheels, listed, dest):
    archives = {prefix: zipfile.ZipFile(path) for prefix, path in accepted(wheels, listed).items()}
    made = pathlib.Path(tempfile.mkdtemp(prefix="libtorch.", dir=dest.parent))
    try:
        for prefix, member, target in FILES:
            copy(archives[prefix], member, made / target)
        for member in archives["torch-"].namelist():
            if member.startswith("torch/include/") and not member.endswith("/") and ".." not in member:
                copy(archives["torch-"], member, made / member.removeprefix("torch/"))
        (made / "lib/libtorch.so").symlink_to("libtorch_cpu.so")  # torch-sys passes -ltorch
        (made / "build-version").write_text("2.11.0+cpu\n")  # torch-sys checks it
        made.chmod(0o755)
        if dest.exists():
            shutil.rmtree(dest)
        made.rename(dest)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


if __name__ == "__main__":
    unpack(*(pathlib.Path(argument) for argument in sys.argv[1:4]))
