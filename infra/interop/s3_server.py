"""A local S3 (moto) for the tests of ccr-runtime/objects, on a port of its own; ends with its standard input.

Signatures and permissions are checked. The first line on standard output says where it is and how to get in:
buckets `depa-sealed` (`writer` may do everything in it, `reader` read) and `depa-other` (they may do nothing). Then it obeys:

    replace KEY BYTES     puts another object there, behind the user's back
    sign KEY              prints a presigned address
"""

import json
import logging
import sys

import boto3
from moto import settings
from moto.core.responses import ActionAuthenticatorMixin
from moto.server import ThreadedMotoServer

REGION = "ap-south-1"
logging.getLogger("werkzeug").disabled = True


def client(service, endpoint, key="root", secret="root"):
    return boto3.client(
        service, endpoint_url=endpoint, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret
    )


def user(iam, name, actions):
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": actions, "Resource": "arn:aws:s3:::depa-sealed*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}


server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"
s3, iam = client("s3", endpoint), client("iam", endpoint)
for bucket in ["depa-sealed", "depa-other"]:
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
s3.put_object(Bucket="depa-other", Key="a", Body=b"closed")
writer, reader = user(iam, "writer", ["s3:*"]), user(iam, "reader", ["s3:GetObject"])
settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
ActionAuthenticatorMixin.request_count = 0
print(json.dumps({"endpoint": endpoint, "region": REGION, "writer": writer, "reader": reader}), flush=True)

s3 = client("s3", endpoint, writer["access_key_id"], writer["secret_access_key"])
for line in sys.stdin:
    act, *rest = line.split()
    if act == "replace":
        s3.put_object(Bucket="depa-sealed", Key=rest[0], Body=b"x" * int(rest[1]))
        print("done", flush=True)
    elif act == "sign":
        # moto cannot check the signature in an address: from here on it looks for one only.
        settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
        print(s3.generate_presigned_url("get_object", {"Bucket": "depa-sealed", "Key": rest[0]}), flush=True)
server.stop()
