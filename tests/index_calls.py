"""What the index on OpenSearch calls there, as IAM sees it."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from opensearchpy import AsyncOpenSearch, Connection, NotFoundError

from commonplace.adapters.aws.opensearch import Layout, OpenSearchIndex
from commonplace.ports.index import Index
from contract.index_writer import SPACE, Writer

Call: TypeAlias = tuple[str, str]
"""An action, and a path in the domain, with ``*`` for what has many names."""


async def calls() -> Mapping[str, set[Call]]:
    """The calls of each method, in a space that is new, in one that is there, and in one that is built anew."""
    found: dict[str, set[Call]] = defaultdict(set)
    alias = f"commonplace-{SPACE.name}"
    for indexes in ([], [f"{alias}-000001"], [f"{alias}-000001", f"{alias}-000002"]):

        def index(method: str, indexes: Sequence[str] = indexes) -> Index:
            client = AsyncOpenSearch(hosts=["http://search"], connection_class=_script(found[method], indexes))

            async def connect() -> AsyncOpenSearch:
                return client

            return OpenSearchIndex(connect, Layout())

        await Writer(index("upsert"), "t").put("m")
        await Writer(index("delete"), "t").remove("m", 2)
        await Writer(index("search"), "t").near()
        await index("spaces").spaces()
        if indexes:
            await index("renew").renew(SPACE)
            await index("retire").retire(SPACE)
    return found


def _script(calls: set[Call], indexes: Sequence[str]) -> type[Connection]:
    """A connection to an OpenSearch that has these indexes; it takes down what is called."""

    class Script(Connection):
        async def perform_request(self, method: str, url: str, *_: Any, **__: Any) -> tuple[int, dict[str, str], str]:
            path = url.partition("?")[0].strip("/").replace("%2A", "*")
            calls.add((f"es:ESHttp{method.title()}", re.sub(r"commonplace-[^/]+", "commonplace-*", path)))
            if method == "HEAD" and not indexes:
                raise NotFoundError(404, "", {})
            match method, path.rpartition("/")[2]:
                case "GET", "_mapping":
                    answer: Any = {}
                case "GET", _:
                    answer = {name: {} for name in indexes}
                case "POST", "_msearch":
                    answer = {"responses": [{"took": 1, "hits": {"hits": []}}]}
                case "POST", "_bulk":
                    answer = {"items": [{"any": {"status": 200}}]}
                case _:
                    answer = {"acknowledged": True}
            return 200, {"content-type": "application/json"}, json.dumps(answer)

        async def close(self) -> None:
            """Nothing is open."""

    return Script
