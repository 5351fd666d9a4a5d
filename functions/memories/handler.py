"""The Lambda function ``memories``."""

from mangum import Mangum

from commonplace.wiring import services
from memories.app import build

handler = Mangum(build(services()), lifespan="off")
