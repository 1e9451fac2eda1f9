"""Checks a delivery with the official Python library: {secret, headers, body} on stdin; ends with 0 or 1."""
import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

given = json.load(sys.stdin)
try:
    Webhook(given["secret"]).verify(given["body"], given["headers"])
except WebhookVerificationError as error:
    print(f"refused: {error}")
    sys.exit(1)
print("accepted")
