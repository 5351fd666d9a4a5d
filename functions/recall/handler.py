"""The Lambda function ``recall``."""

from commonplace.loading import loading

with loading():
    from mangum import Mangum

    from commonplace.wiring import services
    from recall.app import build

    handler = Mangum(build(services(eager=True)), lifespan="off")
