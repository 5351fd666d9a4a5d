"""DynamoDB and SQS, through aioboto3."""
