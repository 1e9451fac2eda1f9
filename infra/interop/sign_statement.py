"""pyscitt signs a statement: sign_statement.py KEY_PEM ISSUER KID OUT. The issuer stands in the CWT claims."""
import sys
from pathlib import Path

from pyscitt import crypto

key, issuer, kid, out = sys.argv[1:5]
signer = crypto.Signer(Path(key).read_text(), issuer=issuer, kid=kid)
statement = crypto.sign_json_statement(signer, {"model": "safe"}, "application/json", feed="models/safe", cwt=True)
Path(out).write_bytes(statement)
