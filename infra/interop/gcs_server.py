"""A local Google Cloud Storage for the tests of ccr-runtime/objects, on a port of its own; ends with its standard input.

None of the emulators in the registries speaks the XML interface that `object_store` uses (gcp-storage-emulator 2026.7.19 has
no HEAD, no dates, no conditions, no uploads in parts, and looks at no token). That interface is S3's in all that is used
here, so moto does the storing, behind what Google does in another way: it verifies the token that a service account signs
(RS256, sub, scope, exp), knows who may write, and has conditions and versions under names of its own.

The first line on standard output says where it is and how to get in: bucket `depa-sealed`, keys of two service accounts
(`writer` may do everything in it, `reader` read), and `depa-other`, in which they may do nothing. Then it obeys:

    replace KEY BYTES     puts another object there, behind the user's back
"""

import base64
import hashlib
import json
import sys
import threading
import time
import urllib.parse

import boto3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.server import ThreadedMotoServer
from werkzeug.serving import WSGIRequestHandler, make_server

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# As whom the storage behind is spoken to, which looks at no signature here.
OWNER = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
ACCOUNTS = {name: rsa.generate_private_key(65537, 2048) for name in ["writer", "reader"]}


def email(name):
    return f"{name}@depa-test.iam.gserviceaccount.com"


def key_file(name):
    """The file as Google issues it."""
    pem = ACCOUNTS[name].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account", "private_key": pem.decode(), "private_key_id": name, "client_email": email(name),
        "client_id": "1", "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
    }  # fmt: skip


def part(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def caller(token):
    """The account that signed a token; none where it is not good now."""
    try:
        head, body, signature = token.split(".")
        header, claims = json.loads(part(head)), json.loads(part(body))
        name = header["kid"]
        public = ACCOUNTS[name].public_key()
        public.verify(part(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
        good = header["alg"] == "RS256" and claims["iss"] == claims["sub"] == email(name) and claims["scope"] == SCOPE
        return name if good and claims["iat"] - 60 < time.time() < claims["exp"] else None
    except (KeyError, ValueError, InvalidSignature):
        return None


class Google:
    """In front of moto."""

    def __init__(self, storage):
        self.storage = storage

    def __call__(self, environ, start):
        name = caller(environ.pop("HTTP_AUTHORIZATION", "").removeprefix("Bearer "))
        bucket = environ["PATH_INFO"].split("/")[1]
        reads = environ["REQUEST_METHOD"] in ("GET", "HEAD")
        if name is None:
            return refused(start, "401 Unauthorized", "AuthenticationRequired")
        if bucket == "depa-other" or not (reads or name == "writer"):
            return refused(start, "403 Forbidden", "AccessDenied")
        environ["HTTP_AUTHORIZATION"] = OWNER
        # The client escapes more of a path than moto undoes.
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        environ["RAW_URI"] = environ["REQUEST_URI"] = urllib.parse.quote(environ["PATH_INFO"]) + query
        if environ.pop("HTTP_X_GOOG_IF_GENERATION_MATCH", None) == "0":
            environ["HTTP_IF_NONE_MATCH"] = "*"

        def answered(status, headers, *more):
            tags = [value for header, value in headers if header.lower() == "etag"]
            generation = int.from_bytes(hashlib.sha256("".join(tags).encode()).digest()[:6], "big")
            return start(status, [*headers, ("x-goog-generation", str(generation))], *more)

        return self.storage(environ, answered)


def refused(start, status, code):
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode()
    start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


storage = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, Google(storage), True, request_handler=Quiet)
# The same storage without Google in front, for the acts behind the user's back.
behind = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
behind.start()
host, port = behind.get_host_and_port()
s3 = boto3.client(
    "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="a"
)
for bucket in ["depa-sealed", "depa-other"]:
    s3.create_bucket(Bucket=bucket)
s3.put_object(Bucket="depa-other", Key="a", Body=b"closed")

threading.Thread(target=server.serve_forever, daemon=True).start()
about = {"endpoint": f"http://127.0.0.1:{server.server_address[1]}", **{name: key_file(name) for name in ACCOUNTS}}
print(json.dumps(about), flush=True)
for line in sys.stdin:
    act, *rest = line.split()
    if act == "replace":
        s3.put_object(Bucket="depa-sealed", Key=rest[0], Body=b"x" * int(rest[1]))
        print("done", flush=True)
