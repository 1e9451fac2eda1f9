"""pycose signs a DEPA contract: sign_contract.py PAYLOAD OUT FEED PARTICIPANTS(comma) then KEY_PEM DID KID per signer."""
import sys
from pathlib import Path

from pycose.headers import KID, Algorithm, ContentType, CoseHeaderAttribute
from pycose.keys import CoseKey
from pycose.messages import SignMessage
from pycose.messages.signer import CoseSignature


@CoseHeaderAttribute.register_attribute()
class Participants(CoseHeaderAttribute):
    identifier = 491
    fullname = "DEPA_PARTICIPANTS"


@CoseHeaderAttribute.register_attribute()
class Feed(CoseHeaderAttribute):
    identifier = 492
    fullname = "DEPA_FEED"


@CoseHeaderAttribute.register_attribute()
class Participant(CoseHeaderAttribute):
    identifier = 494
    fullname = "DEPA_PARTICIPANT"


MEDIA = "application/vnd.depa.contract.v1+json"
payload, out, feed, participants = sys.argv[1:5]
signers = []
for at in range(5, len(sys.argv), 3):
    key, did, kid = sys.argv[at : at + 3]
    header = {Algorithm: "EdDSA", ContentType: MEDIA, KID: kid.encode(), Participant: did}
    signer = CoseSignature(phdr=header)
    signer.key = CoseKey.from_pem_private_key(Path(key).read_text())
    signers.append(signer)
message = SignMessage(
    phdr={ContentType: MEDIA, Participants: participants.split(","), Feed: feed},
    payload=Path(payload).read_bytes(),
    signers=signers,
)
Path(out).write_bytes(message.encode())
