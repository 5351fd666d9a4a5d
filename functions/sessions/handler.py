"""The Lambda function ``sessions``."""

from commonplace.loading import loading

with loading():
    from mangum import Mangum

    from commonplace.wiring import services
    from sessions.app import build

    handler = Mangum(build(services()), lifespan="off")
