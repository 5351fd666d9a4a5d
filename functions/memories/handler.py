"""The Lambda function ``memories``."""

from commonplace.loading import loading

with loading():
    from mangum import Mangum

    from commonplace.wiring import services
    from memories.app import build

    handler = Mangum(build(services()), lifespan="off")
