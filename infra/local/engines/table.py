"""The table of a service that is developed on DynamoDB Local."""

import boto3

from commonplace.adapters.aws.dynamodb import table_definition

TABLE = "commonplace"
REGION = "eu-central-1"
CREDENTIALS = "local"
"""Key and secret alike: requests must be signed, but nobody checks the signature."""


def make(url: str) -> None:
    """Makes the table in the engine at that address."""
    client = boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS,
        aws_secret_access_key=CREDENTIALS,
    )
    client.create_table(**table_definition(TABLE))
    client.get_waiter("table_exists").wait(TableName=TABLE)
