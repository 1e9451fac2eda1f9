"""A local Azure Blob Storage (azurite) for the tests of ccr-runtime/objects, on a port of its own; ends with its standard
input. The one argument is the folder in which `npm install azurite` was run.

The first line on standard output says where it is and how to get in: two accounts, both with a container `sealed`.
"""

import base64
import datetime
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

# The account and key that every azurite has.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
# Another account, which happens to have a container of the same name.
SECOND, SECOND_KEY = "depasecond", base64.b64encode(b"the key of another local account").decode()

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
main = f"{sys.argv[1]}/node_modules/azurite/dist/src/blob/main.js"
options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--silent"]
options += ["--skipApiVersionCheck", "--disableTelemetry"]
accounts = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY};{SECOND}:{SECOND_KEY}"}
server = subprocess.Popen(["node", main, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=accounts)
host = f"http://127.0.0.1:{port}"


def make(account, key, container):
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = f"x-ms-date:{date}\nx-ms-version:2023-11-03\n"
    resource = f"/{account}/{account}/{container}\nrestype:container"
    text = "PUT" + "\n" * 12 + headers + resource
    code = base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), hashlib.sha256)).decode()
    request = urllib.request.Request(f"{host}/{account}/{container}?restype=container", method="PUT")
    for name, value in [("x-ms-date", date), ("x-ms-version", "2023-11-03"), ("Content-Length", "0")]:
        request.add_header(name, value)
    request.add_header("Authorization", f"SharedKey {account}:{code}")
    urllib.request.urlopen(request).close()


for _ in range(200):
    try:
        make(ACCOUNT, KEY, "sealed")
        make(SECOND, SECOND_KEY, "sealed")
        break
    except urllib.error.HTTPError as refused:
        server.kill()
        sys.exit(f"azurite refuses: {refused.code} {refused.read()[:300]}")
    except OSError:
        time.sleep(0.1)
keys = [[ACCOUNT, KEY], [SECOND, SECOND_KEY]]
print(json.dumps({"host": host, "keys": keys}), flush=True)
sys.stdin.read()
server.kill()
