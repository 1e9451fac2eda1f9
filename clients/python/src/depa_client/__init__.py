"""Client of a DEPA contract service: typed, sync and async; signs and verifies with your own key."""

from ._errors import DepaError
from ._transport import Event
from .client import AsyncClient, Client
from .documents import countersign, digest, draft, read_unverified, sign, verify
from .keys import Key
from .proofs import Checkpoint, Trust, check_consistency, inclusion_root
from .views import Dataset, Listing, Run

__all__ = [
    "AsyncClient", "Checkpoint", "Client", "Dataset", "DepaError", "Event", "Key", "Listing", "Run", "Trust",
    "check_consistency", "countersign", "digest", "draft", "inclusion_root", "read_unverified", "sign", "verify",
]  # fmt: skip
__version__ = "0.1.0"
