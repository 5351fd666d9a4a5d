"""The Lambda function ``search``."""

from commonplace.loading import loading

with loading():
    from mangum import Mangum

    from commonplace.wiring import services
    from search.app import build

    handler = Mangum(build(services(eager=True)), lifespan="off")
