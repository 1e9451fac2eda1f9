"""A local Azure Blob Storage (azurite) for the tests of ccr-runtime/objects, on a port of its own; ends with its standard
input. The one argument is the folder in which `npm install azurite` was run.

The first line on standard output says where it is and how to get in; container `sealed` is there.
"""

import base64
import datetime
import hashlib
import hmac
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

# The account and key that every azurite has.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
main = f"{sys.argv[1]}/node_modules/azurite/dist/src/blob/main.js"
options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--silent"]
options += ["--skipApiVersionCheck", "--disableTelemetry"]
server = subprocess.Popen(["node", main, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"


def make(container):
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = f"x-ms-date:{date}\nx-ms-version:2023-11-03\n"
    resource = f"/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
    text = "PUT" + "\n" * 12 + headers + resource
    code = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
    request = urllib.request.Request(f"{endpoint}/{container}?restype=container", method="PUT")
    for name, value in [("x-ms-date", date), ("x-ms-version", "2023-11-03"), ("Content-Length", "0")]:
        request.add_header(name, value)
    request.add_header("Authorization", f"SharedKey {ACCOUNT}:{code}")
    urllib.request.urlopen(request).close()


for _ in range(200):
    try:
        make("sealed")
        break
    except urllib.error.HTTPError as refused:
        server.kill()
        sys.exit(f"azurite refuses: {refused.code} {refused.read()[:300]}")
    except OSError:
        time.sleep(0.1)
print(json.dumps({"endpoint": endpoint, "account": ACCOUNT, "account_key": KEY}), flush=True)
sys.stdin.read()
server.kill()
