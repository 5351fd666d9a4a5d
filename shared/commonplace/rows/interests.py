"""Who would like to have a larger plan."""

from collections.abc import Mapping
from datetime import datetime

from commonplace.ports.table import Put, Table
from commonplace.rows import keys
from commonplace.rows.codec import present
from commonplace.rows.commit import Staged, commit


class Interests:
    """One note for each organization: the last one."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def express(self, tenant: str, organization: str, words: Mapping[str, str | None], now: datetime) -> None:
        """Notes what an organization says of itself."""
        item = present({"noun": "interest", "expressed_at": now, **words})
        await commit(self._table, [Staged(Put(keys.interest(tenant, organization), item))])

    async def expressed(self, tenant: str, organization: str) -> bool:
        """Whether the organization said so."""
        return await self._table.get(keys.interest(tenant, organization)) is not None
