"""List prices in us-east-1, in US dollars, without free tiers and discounts.

AWS changes them; each says where it was read and when. The sources are public copies of AWS's price list and of AWS's pages,
not the live pages, so check before you rely on them: https://calculator.aws.
"""

from dataclasses import dataclass

REGION = "us-east-1"
HOURS = 730
"""Of a month, as AWS's own calculator counts."""

SECONDS = HOURS * 3600
GB = 10**9
GIB = 2**30
MILLION = 10**6


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for so many (``per``) of a unit."""

    usd: float
    unit: str
    source: str
    per: int = 1

    def of(self, quantity: float) -> float:
        """Dollars for a quantity of the unit."""
        return quantity / self.per * self.usd


@dataclass(frozen=True, slots=True)
class Instance:
    """A kind of OpenSearch instance: its memory in GiB, and dollars for an hour."""

    name: str
    memory: int
    usd: float


_DYNAMODB = "AWS Price List API, AmazonDynamoDB, read 2026-07-31"
_GUIDE = "guide of 2026-03-08 (wring.co), which names AWS Lambda Pricing"
_CLOUDWATCH = "guides of 2026-02-15 (signoz.io) and 2026-06-13 (factualminds.com)"

WRITE_UNITS = Price(0.625, "write units", _DYNAMODB, MILLION)
READ_UNITS = Price(0.125, "read units", _DYNAMODB, MILLION)
TABLE_STORAGE = Price(0.25, "GB-month", _DYNAMODB)
RECOVERY = Price(0.20, "GB-month", "AWS Price List API, TimedPITRStorage-ByteHrs; of Oregon, date unknown, verify")
LAMBDA_TIME = Price(0.0000133334, "GB-s", _GUIDE)
LAMBDA_REQUESTS = Price(0.20, "requests", _GUIDE, MILLION)
HTTP_REQUESTS = Price(1.00, "requests", "guide of 2026 (go-cloud.io); the first 300 million of a month", MILLION)
TRANSFER = Price(0.09, "GB", "guide of 2025-05-19 (awsforengineers.com); the first 10 TB of a month")
QUEUE_REQUESTS = Price(0.40, "requests", "standard queue; guide of unknown date, verify", MILLION)
INDEX_STORAGE = Price(0.122, "GiB-month", "AWS Price List API, AmazonES ES:GP3-Storage, read 2026-06-27")
TOKENS = Price(0.02, "tokens", "AWS Price List API, USE1-TitanEmbeddingV2-Text-input-tokens, read 2026-07-26", MILLION)
LOGS = Price(0.50, "GB", _CLOUDWATCH)
LOG_STORAGE = Price(0.03, "GB-month", "AWS Price List API, TimedStorage-ByteHrs, date unknown, verify")
METRICS = Price(0.30, "metrics", f"{_CLOUDWATCH}; the first 10,000")
ALARMS = Price(0.10, "alarm metrics", "list price from memory, date unknown, verify")
DASHBOARDS = Price(3.00, "dashboards", _CLOUDWATCH)
TRACES = Price(5.00, "traces", "https://aws.amazon.com/xray/pricing/, copy of unknown date", MILLION)

PRICES = {
    "DynamoDB, writes on demand": WRITE_UNITS,
    "DynamoDB, reads on demand": READ_UNITS,
    "DynamoDB, storage": TABLE_STORAGE,
    "DynamoDB, point-in-time recovery": RECOVERY,
    "Lambda arm64, time": LAMBDA_TIME,
    "Lambda, requests": LAMBDA_REQUESTS,
    "HTTP API, requests": HTTP_REQUESTS,
    "Transfer to the internet": TRANSFER,
    "SQS, requests": QUEUE_REQUESTS,
    "OpenSearch, gp3 storage": INDEX_STORAGE,
    "Bedrock, Titan Text Embeddings V2": TOKENS,
    "CloudWatch, logs taken in": LOGS,
    "CloudWatch, logs kept": LOG_STORAGE,
    "CloudWatch, metrics": METRICS,
    "CloudWatch, alarms": ALARMS,
    "CloudWatch, dashboard": DASHBOARDS,
    "X-Ray, traces": TRACES,
}

INSTANCES = (
    Instance("t3.small.search", 2, 0.036),
    Instance("t3.medium.search", 4, 0.073),
    Instance("r7g.medium.search", 8, 0.089),
    Instance("r7g.large.search", 16, 0.178),
    Instance("r7g.xlarge.search", 32, 0.356),
    Instance("r7g.2xlarge.search", 64, 0.711),
    Instance("r7g.4xlarge.search", 128, 1.422),
    Instance("r7g.8xlarge.search", 256, 2.845),
    Instance("r7g.12xlarge.search", 384, 4.267),
    Instance("r7g.16xlarge.search", 512, 5.689),
)
INSTANCES_SOURCE = "AWS Price List API, AmazonES, as two public programs of 2026 keep it (the later one of 2026-10)"
