"""scitt-cose verifies a receipt of ours: verify_receipt.py RECEIPT RECORD KEY_PEM. Prints what it found, ends with 1 when refused."""
import sys

import scitt_cose

receipt, record, key = (open(path, "rb").read() for path in sys.argv[1:4])
result = scitt_cose.verify_receipt(receipt, leaf_entry_hex=record.hex(), log_public_key_pem=key)
if not result.ok:
    print("refused:", "; ".join(result.errors))
    sys.exit(1)
print("verified: entry", result.leaf_index, "of", result.tree_size, "issuer", result.issuer, "subject", result.subject)
