"""boto3 against the embedded Lambda runtime: prints one JSON object of what it saw."""

import base64
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint = sys.argv[1]
client = boto3.client(
    "lambda",
    endpoint_url=endpoint,
    region_name="us-east-1",
    aws_access_key_id="local",
    aws_secret_access_key="local",
    config=Config(retries={"max_attempts": 0}),
)
seen = {}


def invoke(**options):
    answer = client.invoke(**options)
    return answer, json.loads(answer["Payload"].read() or "null")


answer, seen["sync"] = invoke(FunctionName="sync", Payload=json.dumps({"value": 21}), LogType="Tail")
seen["log"] = base64.b64decode(answer["LogResult"]).decode().split("\n")[0].split(" ")[0]
seen["status"] = [
    client.invoke(FunctionName="sync", Payload=b'{"value":1}', InvocationType=kind)["StatusCode"]
    for kind in ("RequestResponse", "Event", "DryRun")
]
answer, payload = invoke(FunctionName="fails", Payload=json.dumps({"message": "no truck"}))
seen["error"] = [answer["FunctionError"], payload["errorType"], payload["errorMessage"]]
answer, _ = invoke(FunctionName="sync", Qualifier="live", Payload=b'{"value":1}')
seen["version"] = answer["ExecutedVersion"]
try:
    client.invoke(FunctionName="never")
except ClientError as error:
    seen["throttle"] = [error.response["Error"]["Code"], error.response["Reason"]]
try:
    client.invoke(FunctionName="absent")
except ClientError as error:
    seen["absent"] = [error.response["Error"]["Code"], error.response["Error"]["Message"]]
pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2})
seen["functions"] = [[each["FunctionName"] for each in page["Functions"]] for page in pages]
seen["versions"] = [each["Version"] for each in client.list_versions_by_function(FunctionName="sync")["Versions"]]
seen["alias"] = client.get_alias(FunctionName="sync", Name="live")["FunctionVersion"]
seen["reserved"] = client.get_function(FunctionName="never")["Concurrency"]["ReservedConcurrentExecutions"]
stream = client.invoke_with_response_stream(FunctionName="words", Payload=json.dumps({"words": ["a", "b"]}))
seen["stream"] = b"".join(
    each["PayloadChunk"]["Payload"] for each in stream["EventStream"] if "PayloadChunk" in each
).decode()
print(json.dumps(seen))
