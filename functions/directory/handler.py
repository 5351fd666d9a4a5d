"""The Lambda function ``directory``."""

from commonplace.loading import loading

with loading():
    from mangum import Mangum

    from commonplace.wiring import services
    from directory.app import build

    handler = Mangum(build(services()), lifespan="off")
