"""What a search costs that does nothing but embed its query and ask OpenSearch."""

import json
import time

import aiohttp

from commonplace.adapters.aws.opensearch_query import meant, nearest, owner, saying
from commonplace.adapters.embedded.onnx import OnnxEmbedder
from commonplace.core.relevance import telling
from commonplace.model.filter import Filter
from commonplace.settings import Settings


class RawSearch:
    """The same two searches as the service's, in one ``_msearch`` over one kept connection, unsigned."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession()
        self._embedder = OnnxEmbedder()

    async def __call__(self, query: str) -> float:
        """Asks, and says how many seconds it took."""
        began = time.perf_counter()
        (vector,) = await self._embedder.embed([query])
        k, inside = Settings().candidates, meant("default", Filter(store="default"))
        header = {"index": f"commonplace-{self._embedder.space.name}", "routing": owner("default")}
        searches = (nearest(vector, k, inside), saying(" ".join(telling(query)), k, inside))
        lines = "".join(f"{json.dumps(line)}\n" for search in searches for line in (header, search))
        headers = {"content-type": "application/x-ndjson"}
        async with self._session.post(f"{self._url}/_msearch", data=lines, headers=headers) as response:
            answer = json.loads(await response.read())
        assert all(said["hits"]["hits"] for said in answer["responses"]), answer
        return time.perf_counter() - began

    async def close(self) -> None:
        """Ends its connection and its model."""
        await self._session.close()
        self._embedder.close()
