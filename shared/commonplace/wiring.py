"""The composition root: the verbs of the core over the engines. A function only builds what it uses."""

import asyncio
import os
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING

from commonplace.adapters.system import RandomIds, SystemClock
from commonplace.core.admit import Admit
from commonplace.core.browse import Browse
from commonplace.core.cursor import Cursors
from commonplace.core.embed import Embed
from commonplace.core.enlist import Enlist
from commonplace.core.forget import Forget
from commonplace.core.furnish import Furnish
from commonplace.core.gauge import Gauge
from commonplace.core.ingest import Ingest
from commonplace.core.notify import Notify
from commonplace.core.once import Once
from commonplace.core.recognize import Recognize
from commonplace.core.remember import Remember
from commonplace.core.revise import Revise
from commonplace.core.search import Search, Tuning
from commonplace.core.shelve import Shelve
from commonplace.core.usage import Tally
from commonplace.dialects.memsy.headers import headers as memsy_headers
from commonplace.dialects.relay import webhook as relay_webhook
from commonplace.engines import Engines, opened
from commonplace.http.host import Host
from commonplace.http.metering import Metering
from commonplace.http.shared_path import SharedPath
from commonplace.model.apikey import Permission, Principal
from commonplace.model.errors import Unavailable
from commonplace.model.usage import Dimension
from commonplace.ports.embedder import Embedder
from commonplace.ports.table import Key
from commonplace.ports.world import Clock, Ids, Sender
from commonplace.rows.agents import Agents
from commonplace.rows.apikeys import ApiKeys, Secrets
from commonplace.rows.clearings import Clearings
from commonplace.rows.events import Events
from commonplace.rows.lengths import VectorLengths
from commonplace.rows.memories import Memories
from commonplace.rows.requests import NamedRequests
from commonplace.rows.sessions import Sessions
from commonplace.rows.stores import Stores
from commonplace.rows.usage import Usages
from commonplace.rows.webhooks import Deliveries, Webhooks
from commonplace.settings import Settings, read

if TYPE_CHECKING:
    from commonplace.core.converse import Converse
    from commonplace.core.deliver import Deliver
    from commonplace.core.distill import Distill
    from commonplace.core.gather import Gather
    from commonplace.core.nearest import Nearest
    from commonplace.core.promote import Promote
    from commonplace.core.rebuild import Rebuild
    from commonplace.core.recall import Recall
    from commonplace.core.recollect import Recollect
    from commonplace.core.recount import Recount
    from commonplace.core.subscribe import Subscribe
    from commonplace.core.survey import Survey
    from commonplace.core.sweep import Sweep
    from commonplace.rows.groups import Groups
    from commonplace.rows.interests import Interests

OPEN_TENANT = "default"
"""Whose memories a request without a key sees, where the settings allow such: those of the key that a machine makes."""


class Services:
    """The verbs of the core over the engines of a deployment, each made when it is first used."""

    def __init__(self, settings: Settings, engines: Engines, clock: Clock, ids: Ids) -> None:
        self.settings = settings
        self.engines = engines
        self.clock = clock
        self.ids = ids
        self.started = clock.now()

    async def check(self) -> dict[str, bool]:
        """Which of the engines answer now."""
        row = self.engines.table.get(Key("health", "health"))
        return {
            "database": await _answers(row),
            "vector_store": await _answers(self.engines.index.spaces()),
        }

    @cached_property
    def memories(self) -> Memories:
        """The rows themselves, for the worker."""
        return Memories(self.engines.table)

    @cached_property
    def _sessions(self) -> Sessions:
        return Sessions(self.engines.table)

    @cached_property
    def _stores(self) -> Stores:
        return Stores(self.engines.table)

    @cached_property
    def _clearings(self) -> Clearings:
        return Clearings(self.engines.table)

    @cached_property
    def _usages(self) -> Usages:
        return Usages(self.engines.table)

    @cached_property
    def _groups(self) -> "Groups":
        from commonplace.rows.groups import Groups

        return Groups(self.engines.table)

    @cached_property
    def _webhooks(self) -> Webhooks:
        return Webhooks(self.engines.table)

    @cached_property
    def _deliveries(self) -> Deliveries:
        return Deliveries(self.engines.table)

    @cached_property
    def _cursors(self) -> Cursors:
        return Cursors(Secrets(self.engines.table), self.ids)

    @cached_property
    def embedder(self) -> Embedder:
        """The embedding model."""
        return self.engines.embedder()

    @cached_property
    def sender(self) -> Sender:
        """What calls strangers' URLs."""
        return self.engines.sender()

    @cached_property
    def admit(self) -> Admit:
        """API keys."""
        return Admit(ApiKeys(self.engines.table), self.clock, self.ids)

    @cached_property
    def once(self) -> Once:
        """Requests that name themselves."""
        return Once(NamedRequests(self.engines.table), self.clock)

    @cached_property
    def host(self) -> Host:
        """What the HTTP functions have in common."""
        shared = SharedPath(self.settings.shared_path_dialect, self.browse.origin)
        return Host(self.admit, self.once, self.ids, self.settings.cors_origins, shared)

    @cached_property
    def stranger(self) -> Principal | None:
        """Whom a request without a key comes from, where the settings open the door to those."""
        if self.settings.auth_mode != "open":
            return None
        return Principal(OPEN_TENANT, "open", frozenset({Permission.READ, Permission.WRITE}), secret="")

    @cached_property
    def enlist(self) -> Enlist:
        """Agents."""
        return Enlist(Agents(self.engines.table), self._cursors, self.clock, self.ids)

    @cached_property
    def notify(self) -> Notify:
        """Events to deliveries."""
        return Notify(self._webhooks, self.engines.delivery_queue, relay_webhook.body)

    @cached_property
    def embed(self) -> Embed:
        """From rows to the index."""
        return Embed(
            self.memories,
            self.engines.index,
            self.embedder,
            self.notify,
            self.clock,
            self.engines.meter,
            embed_given=self.settings.embed_given,
        )

    @cached_property
    def rebuild(self) -> "Rebuild":
        """The index anew, from the rows."""
        from commonplace.core.rebuild import Rebuild

        return Rebuild(self.memories, self.engines.index, self.embed, self.embedder.space)

    @cached_property
    def remember(self) -> Remember:
        """Writing."""
        recognize = Recognize(self.memories, self.engines.index, self.embedder, self.clock)
        settings = self.settings
        gauge = Gauge(VectorLengths(self.engines.table), settings.organization_lengths, settings.tenant_lengths)
        return Remember(
            self.memories,
            self._sessions,
            self.enlist,
            self.notify,
            self.embed,
            self.engines.embedding_queue,
            recognize,
            gauge,
            self.clock,
            self.ids,
            self.engines.meter,
        )

    @cached_property
    def events(self) -> Events:
        """The rows of events."""
        return Events(self.engines.table)

    @cached_property
    def ingest(self) -> Ingest:
        """Taking in events."""
        return Ingest(self.events, self.engines.embedding_queue, self.clock, self.ids)

    @cached_property
    def distill(self) -> "Distill":
        """From events to memories."""
        from commonplace.core.distill import Distill
        from commonplace.core.extraction import RuleExtractor
        from commonplace.rows.turns import Turns

        rules = RuleExtractor()
        reader = self.engines.extractor() or rules
        turns, tokens = Turns(self.engines.table), dict(self.settings.quotas).get(Dimension.LLM_TOKENS)
        return Distill(
            self.events, self.memories, self.remember, reader, rules, turns, self._usages, self.clock, tokens
        )

    @cached_property
    def promote(self) -> "Promote":
        """From members' memories to those of their groups."""
        from commonplace.core.promote import Promote

        return Promote(self.survey, self._groups, self.memories, self.remember, self.clock)

    @cached_property
    def gather(self) -> "Gather":
        """Orgs, roles and teams."""
        from commonplace.core.gather import Gather

        return Gather(self._groups, self.clock, self.ids, self.settings.most_groups)

    @cached_property
    def recollect(self) -> "Recollect":
        """Finding, with where it comes from."""
        from commonplace.core.recollect import Recollect

        return Recollect(self.search, self.survey, self.events, self.engines.embedding_queue)

    @cached_property
    def recount(self) -> "Recount":
        """Events, as they were told."""
        from commonplace.core.recount import Recount

        return Recount(self.events)

    @cached_property
    def interests(self) -> "Interests":
        """Who would like to have a larger plan."""
        from commonplace.rows.interests import Interests

        return Interests(self.engines.table)

    @cached_property
    def survey(self) -> "Survey":
        """Looking over all memories."""
        from commonplace.core.survey import Survey

        return Survey(self.memories, self.clock)

    @cached_property
    def metered(self) -> Metering:
        """Counting requests."""
        limits = dict(self.settings.quotas)
        return Metering(self.tally, self.clock, limits, partial(memsy_headers, plan=self.plan))

    @property
    def plan(self) -> str:
        """What the deployment's users are on, in Memsy's words."""
        return "free" if self.settings.quotas else "pro"

    @cached_property
    def tally(self) -> Tally:
        """What is used."""
        return Tally(self._usages)

    @cached_property
    def browse(self) -> Browse:
        """Reading back."""
        return Browse(self.memories, self._cursors, self.clock)

    @cached_property
    def search(self) -> Search:
        """Finding."""
        tuning = Tuning(self.settings.vector_weight, self.settings.candidates)
        return Search(self.memories, self.engines.index, self.embedder, self.clock, tuning, self.engines.meter)

    @cached_property
    def nearest(self) -> "Nearest":
        """Finding by callers' own vectors."""
        from commonplace.core.nearest import Nearest

        return Nearest(self.memories, self.engines.index, self.clock, self.engines.meter)

    @cached_property
    def recall(self) -> "Recall":
        """Context for a prompt."""
        from commonplace.core.recall import Recall

        return Recall(self.search, self.clock)

    @cached_property
    def revise(self) -> Revise:
        """Changing."""
        return Revise(self.memories, self.notify, self.embed, self.engines.embedding_queue, self.clock)

    @cached_property
    def forget(self) -> Forget:
        """Deleting."""
        return Forget(
            self.memories,
            self._clearings,
            self.notify,
            self.embed,
            self.embedder,
            self.engines.embedding_queue,
            self.clock,
        )

    @cached_property
    def furnish(self) -> Furnish:
        """Stores."""
        return Furnish(self._stores, self.engines.embedding_queue, self.clock, self.ids)

    @cached_property
    def shelve(self) -> Shelve:
        """Memories in stores."""
        return Shelve(
            self.furnish,
            self.memories,
            self.enlist,
            self.remember,
            self.browse,
            self.search,
            self.revise,
            self.forget,
            self.clock,
        )

    @cached_property
    def converse(self) -> "Converse":
        """Sessions."""
        from commonplace.core.converse import Converse

        return Converse(self._sessions, self.memories, self.enlist, self.forget, self._cursors, self.clock, self.ids)

    @cached_property
    def subscribe(self) -> "Subscribe":
        """Webhook endpoints."""
        from commonplace.core.subscribe import Subscribe

        return Subscribe(self._webhooks, self.sender, self.clock, self.ids)

    @cached_property
    def deliver(self) -> "Deliver":
        """Webhook deliveries."""
        from commonplace.core.deliver import Deliver

        return Deliver(
            self._deliveries,
            self._webhooks,
            self.notify,
            self.sender,
            relay_webhook.headers,
            self.clock,
            self.ids,
            self.engines.meter,
        )

    @cached_property
    def sweep(self) -> "Sweep":
        """The sweeper."""
        from commonplace.core.sweep import Sweep

        return Sweep(
            self.memories,
            self._deliveries,
            self._clearings,
            self.events,
            self._groups,
            self.forget,
            self.engines.embedding_queue,
            self.engines.delivery_queue,
            self.clock,
            self.settings.max_receives,
        )


async def _answers(question: Awaitable[object]) -> bool:
    try:
        await question
    except Unavailable:
        return False
    return True


@cache
def event_loop() -> asyncio.AbstractEventLoop:
    """The loop of this Lambda environment, one for its life, so that the clients made on it stay good."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # Mangum takes up the current one
    return loop


@cache
def services(*, eager: bool = False) -> Services:
    """The services of this Lambda environment, made once, on its loop. Raises ``SettingError``.

    ``eager`` is for functions that search or index in every request. Nothing here is unique to the environment and no
    connection is opened yet, so that a snapshot of it (SnapStart) can be restored many times.
    """
    settings = read(os.environ)
    clock = SystemClock()
    engines = opened(settings, clock, eager=eager)
    return Services(settings, event_loop().run_until_complete(_kept.enter_async_context(engines)), clock, RandomIds())


_kept = AsyncExitStack()
"""Never closed: Lambda ends an environment without a word."""
