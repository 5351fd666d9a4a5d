"""The Lambda function ``account``."""

from commonplace.loading import loading

with loading():
    from mangum import Mangum

    from account.app import build
    from commonplace.wiring import services

    handler = Mangum(build(services()), lifespan="off")
