"""The Lambda function ``stores``."""

from commonplace.loading import loading

with loading():
    from mangum import Mangum

    from commonplace.wiring import services
    from stores.app import build

    handler = Mangum(build(services()), lifespan="off")
