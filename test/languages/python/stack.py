"""Puts the alarms and the dashboard of a CloudFormation template (standard input) at an endpoint, and prints them.

Resources are put as CloudFormation would put them: the names of properties are those of CloudWatch's API, which
botocore checks. (moto's own CloudFormation knows neither dashboards nor alarms on queries.)
"""

import json
import re
import sys

import boto3

VALUES = {
    "AWS::NoValue": None,
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "shop",
    "ClusterName": "orders",
    "Namespace": "comporta",
    "PageTopicArn": "arn:aws:sns:eu-west-1:123456789012:oncall",
    "TicketTopicArn": "",
}


def resolve(value, conditions):
    """Works intrinsic functions out."""
    if isinstance(value, list):
        return [resolve(each, conditions) for each in value]
    if not isinstance(value, dict):
        return value
    if "Ref" in value:
        return VALUES[value["Ref"]]
    if "Fn::Sub" in value:
        filled = re.sub(r"\$\{([^!}][^}]*)\}", lambda found: VALUES[found.group(1)], value["Fn::Sub"])
        return filled.replace("${!", "${")
    if "Fn::Equals" in value:
        left, right = resolve(value["Fn::Equals"], conditions)
        return left == right
    if "Fn::Not" in value:
        return not resolve(value["Fn::Not"][0], conditions)
    if "Fn::If" in value:
        name, then, otherwise = value["Fn::If"]
        return resolve(then if resolve(conditions[name], conditions) else otherwise, conditions)
    resolved = {name: resolve(each, conditions) for name, each in value.items()}
    return {name: each for name, each in resolved.items() if each is not None}


watch = boto3.client("cloudwatch", endpoint_url=sys.argv[1], region_name="eu-west-1")
template = json.load(sys.stdin)
for resource in template["Resources"].values():
    properties = resolve(resource["Properties"], template["Conditions"])
    if resource["Type"] == "AWS::CloudWatch::Alarm":
        watch.put_metric_alarm(**properties)
    else:
        watch.put_dashboard(**properties)
pages = watch.get_paginator("describe_alarms").paginate()
boards = watch.list_dashboards()["DashboardEntries"]
body = watch.get_dashboard(DashboardName=boards[0]["DashboardName"])["DashboardBody"]
print(json.dumps({
    "alarms": [alarm for page in pages for alarm in page["MetricAlarms"]],
    "dashboards": [each["DashboardName"] for each in boards],
    "widgets": json.loads(body)["widgets"],
}, default=str))
