"""The Lambda function ``create``."""

from commonplace.loading import loading

with loading():
    from mangum import Mangum

    from commonplace.wiring import services
    from create.app import build

    handler = Mangum(build(services()), lifespan="off")
