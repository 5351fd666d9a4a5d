import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import trustme

from commonplace.adapters.web.sender import WebhookSender
from commonplace.model.webhook import Answer
from commonplace.ports.world import Refused, Unreachable

pytestmark = pytest.mark.anyio

HOST = "hooks.example"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATIENT = 10.0
SHORT = 0.3
PUBLIC = "93.184.216.34"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Site:
    """A server on the loopback that remembers its requests and knows when its caller has gone."""

    def __init__(self, talk: Talk) -> None:
        self.port = 0
        self.connections = 0
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self.ended = asyncio.Event()
        self._talk = talk

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            self.requests.append(head + await reader.readexactly(length))
            self.asked.set()
            await self._talk(reader, writer)
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
        self.ended.set()

    @property
    def headers(self) -> dict[str, str]:
        lines = self.requests[0].split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        names = [line.split(": ", 1)[0].lower() for line in lines]
        assert len(names) == len(set(names)), "a header was sent twice"
        return dict(zip(names, (line.split(": ", 1)[1] for line in lines), strict=True))


def says(answer: bytes) -> Talk:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return talk


def drips(start: bytes) -> Talk:
    """Sends a byte now and then until the caller goes: no pause between two bytes is long."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(b"1")
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await reader.read()
                    return

    return talk


async def waits(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@asynccontextmanager
async def site(talk: Talk, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Site]:
    running = Site(talk)
    server = await asyncio.start_server(running.serve, host, 0, ssl=tls)
    running.port = server.sockets[0].getsockname()[1]
    async with server:
        yield running
    if running.connections:
        await running.ended.wait()


class Names:
    """A resolver: each look-up of a name takes the next of its answers, and the last one for ever."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self.answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        assert 0 < port < 65536
        self.asked.append(host)
        answers = self.answers.get(host, [])
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Never:
    """A resolver that does not come back."""

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()


def loopback() -> Names:
    return Names(hooks_example=[["127.0.0.1"]])


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


Certify = Callable[[str], ssl.SSLContext]


@pytest.fixture(scope="module")
def certify(authority: trustme.CA) -> Certify:
    def made(name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    return made


Make = Callable[..., WebhookSender]


@pytest.fixture
def sender(trusting: ssl.SSLContext) -> Iterator[Make]:
    made: list[WebhookSender] = []

    def make(
        resolve: Names | Never | None = None,
        *,
        private: bool = True,
        deadline: float = PATIENT,
        response_cap: int = 20_000,
        context: ssl.SSLContext | None = trusting,
    ) -> WebhookSender:
        made.append(
            WebhookSender(
                resolve=resolve or loopback(),
                private_targets=private,
                deadline=deadline,
                response_cap=response_cap,
                ssl_context=context,
            )
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def guarded() -> Iterator[WebhookSender]:
    """As in production: with the system's resolver and no private targets."""
    sender = WebhookSender(private_targets=False, deadline=PATIENT)
    yield sender
    sender.close()


async def told(sender: WebhookSender, url: str, headers: Mapping[str, str] | None = None) -> Answer:
    return await sender.post(url, headers or {}, b'{"a":1}')


async def is_refused(sender: WebhookSender, url: str) -> bool:
    """Whether both registration and delivery are refused, in words that say nothing."""
    with pytest.raises(Refused) as checked:
        await sender.check(url)
    with pytest.raises(Refused) as posted:
        await told(sender, url)
    return checked.value.message == posted.value.message == "The URL may not be called"


async def is_unreachable(sender: WebhookSender, url: str) -> bool:
    with pytest.raises(Unreachable) as caught:
        await told(sender, url)
    return caught.value.message == "The endpoint could not be reached"


# What is sent


async def test_a_post_reaches_the_endpoint_as_it_was_given(sender: Make, certify: Certify) -> None:
    async with site(says(OK), certify(HOST)) as there:
        answer = await told(sender(), f"https://{HOST}:{there.port}/in/ü?x=1&y=/#part", {"X-Signature": "sha256=00"})
    assert answer == Answer(200, None)
    assert there.requests[0].startswith(b"POST /in/%C3%BC?x=1&y=/ HTTP/1.1\r\n")
    assert there.requests[0].endswith(b'\r\n\r\n{"a":1}')
    assert there.headers["x-signature"] == "sha256=00"
    assert there.headers["host"] == f"{HOST}:{there.port}"
    assert "cookie" not in there.headers


async def test_the_callers_host_and_framing_are_replaced(sender: Make) -> None:
    given = {"HOST": "inside.example", "content-Length": "1", "Transfer-Encoding": "chunked", "Connection": "upgrade"}
    async with site(says(OK)) as there:
        await told(sender(), f"http://{HOST}:{there.port}", given)
    assert there.headers["host"] == f"{HOST}:{there.port}"
    assert there.headers["content-length"] == "7"
    assert "transfer-encoding" not in there.headers
    assert there.headers["connection"] == "close"


async def test_an_ipv6_literal_stands_in_brackets_in_the_host_header(sender: Make) -> None:
    async with site(says(OK)) as there:
        await told(sender(Names(**{"::1": [["127.0.0.1"]]})), f"http://[0:0::1]:{there.port}/")
    assert there.headers["host"] == f"[::1]:{there.port}"


@pytest.mark.parametrize("host", ["HOOKS.Example", "hooks.example.", "h\uff4f\uff4fks\uff0eexample"])
async def test_a_name_is_called_by_its_plain_spelling(sender: Make, certify: Certify, host: str) -> None:
    async with site(says(OK), certify(HOST)) as there:
        await told(sender(), f"https://{host}:{there.port}/")
    assert there.headers["host"] == f"{HOST}:{there.port}"


async def test_an_international_name_is_called_by_its_ascii_form(sender: Make, certify: Certify) -> None:
    name = "xn--bcher-kva.example"
    async with site(says(OK), certify(name)) as there:
        await told(sender(Names(**{name: [["127.0.0.1"]]})), f"https://bücher.example:{there.port}/")
    assert there.headers["host"] == f"{name}:{there.port}"


# Which URLs


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example",
        "//hooks.example/",
        "https:/hooks.example/",
        "https://",
        "https:///path",
        "https://:443/",
        "https://?x",
        "https://./",
        "https://a..b/",
        "https://user@hooks.example/",
        "https://user:pass@hooks.example/",
        "https://user:443@hooks.example/",
        "https://hooks.example:443@inside.example/",
        "https://hooks.example\uff20inside.example/",
        "https://hooks.example\\@inside.example/",
        "https://hooks.example%2einside.example/",
        "https://hooks.example:/",
        "https://hooks.example:port/",
        "https://hooks.example:٤٤٣/",
        "https://hooks.example:0/",
        "https://hooks.example:99999/",
        "https://hooks.example/ a",
        "https://hooks.example/\n",
        "https://hooks.example/\r\nX-A: b",
        "https://hooks.example/\x00",
        "https://hooks.example/\x7f",
        "https://hooks.example/\x85",
        "https://hooks.example/\ud800",
        "\thttps://hooks.example/",
        "https://ho\toks.example/",
        "http\u017f://hooks.example/",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "https://[::1",
        "https://[::1]x/",
        "https://[::1%25lo]/",
        "https://[1::2::3]/",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 130}example/",
        "https://hooks.example/" + "a" * 2048,
    ],
)
async def test_a_url_that_is_not_spelt_strictly_is_refused_everywhere(sender: Make, url: str) -> None:
    names = loopback()
    assert await is_refused(sender(names), url)
    assert await is_refused(sender(names, private=False), url)
    assert names.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "http://hooks.example:443/",
        "https://hooks.example:22/",
        "https://hooks.example:80/",
        "https://hooks.example:9001/",
    ],
)
async def test_plain_http_and_other_ports_are_refused_to_strangers(sender: Make, url: str) -> None:
    names = Names(hooks_example=[[PUBLIC]])
    assert await is_refused(sender(names, private=False), url)
    assert names.asked == []


@pytest.mark.parametrize("url", ["https://hooks.example", "HTTPS://hooks.example:443?x", "https://hooks.example:8443/"])
async def test_https_on_its_two_ports_may_be_registered(sender: Make, url: str) -> None:
    await sender(Names(hooks_example=[[PUBLIC]]), private=False).check(url)


async def test_a_url_of_the_greatest_length_may_be_registered(sender: Make) -> None:
    url = "https://hooks.example/"
    await sender(Names(hooks_example=[[PUBLIC]]), private=False).check(url + "a" * (2048 - len(url)))


# Which addresses


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "0",
        "169.254.169.254",
        "0xa9fea9fe",
        "10.0.0.1",
        "192.168.1.1",
        "224.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[::7f00:1]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
async def test_no_spelling_of_an_inner_address_gets_past_the_real_resolver(guarded: WebhookSender, host: str) -> None:
    assert await is_refused(guarded, f"https://{host}/")
    assert await is_refused(guarded, f"https://{host}:8443/")


@pytest.mark.parametrize("denied", ["10.0.0.1", "::1", "fe80::1%eth0", "::ffff:127.0.0.1", "no address"])
async def test_one_denied_address_among_several_refuses_all(sender: Make, denied: str) -> None:
    assert await is_refused(sender(Names(hooks_example=[[PUBLIC, denied]]), private=False), f"https://{HOST}/")
    assert await is_refused(sender(Names(hooks_example=[[denied, PUBLIC]]), private=False), f"https://{HOST}/")


async def test_a_name_that_turns_private_after_its_registration_is_refused_at_the_post(sender: Make) -> None:
    names = Names(hooks_example=[[PUBLIC], ["127.0.0.1"]])
    guarded = sender(names, private=False)
    await guarded.check(f"https://{HOST}/")
    with pytest.raises(Refused):
        await told(guarded, f"https://{HOST}/")


async def test_a_post_looks_a_name_up_once_and_then_only_knows_the_address(
    sender: Make, certify: Certify, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(hooks_example=[["127.0.0.1"], ["127.0.0.2"]])
    looked_up: list[object] = []
    real = socket.getaddrinfo

    def recorded(host: str, *rest: int) -> object:
        looked_up.append(host)
        return real(host, *rest)

    async with site(says(OK), certify(HOST)) as there:
        monkeypatch.setattr(socket, "getaddrinfo", recorded)
        await told(sender(names), f"https://{HOST}:{there.port}/")
    assert names.asked == [HOST]
    assert looked_up == ["127.0.0.1"]
    assert len(there.requests) == 1


async def test_a_second_address_is_tried_when_the_first_takes_no_connection(sender: Make) -> None:
    async with site(says(OK)) as there:
        answer = await told(sender(Names(hooks_example=[["::1", "127.0.0.1"]])), f"http://{HOST}:{there.port}/")
    assert answer.status == 200


async def test_a_name_that_does_not_resolve_may_be_registered_but_not_reached(sender: Make) -> None:
    nameless = sender(Names(), private=False)
    await nameless.check(f"https://{HOST}/")
    assert await is_unreachable(nameless, f"https://{HOST}/")


async def test_a_name_without_addresses_is_unreachable(sender: Make) -> None:
    assert await is_unreachable(sender(Names(hooks_example=[[]]), private=False), f"https://{HOST}/")


# Certificates


async def test_the_certificate_of_another_name_is_not_accepted(sender: Make, certify: Certify) -> None:
    async with site(says(OK), certify("other.example")) as there:
        assert await is_unreachable(sender(), f"https://{HOST}:{there.port}/")
    assert there.requests == []


async def test_a_second_name_at_the_same_address_is_verified_for_itself(sender: Make, certify: Certify) -> None:
    names = Names(hooks_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    async with site(says(OK), certify(HOST)) as there:
        one = sender(names)
        assert (await told(one, f"https://{HOST}:{there.port}/")).status == 200
        assert await is_unreachable(one, f"https://other.example:{there.port}/")
    assert len(there.requests) == 1


async def test_a_certificate_of_an_unknown_authority_is_not_accepted(sender: Make, certify: Certify) -> None:
    async with site(says(OK), certify(HOST)) as there:
        assert await is_unreachable(sender(context=None), f"https://{HOST}:{there.port}/")
    assert there.requests == []


async def test_a_context_that_verifies_nothing_is_made_to_verify(sender: Make, certify: Certify) -> None:
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname = False
    careless.verify_mode = ssl.CERT_NONE
    async with site(says(OK), certify(HOST)) as there:
        assert await is_unreachable(sender(context=careless), f"https://{HOST}:{there.port}/")
    assert there.requests == []


# Roundabout ways


async def test_a_redirect_is_an_answer_and_is_not_followed(sender: Make) -> None:
    async with site(says(OK)) as target:
        to = f"HTTP/1.1 307 Go\r\nLocation: http://{HOST}:{target.port}/\r\nContent-Length: 0\r\n\r\n".encode()
        async with site(says(to)) as there:
            assert await told(sender(), f"http://{HOST}:{there.port}/") == Answer(307)
        assert target.connections == 0


async def test_proxies_in_the_environment_are_ignored(
    sender: Make, certify: Certify, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(says(OK)) as proxy, site(says(OK), certify(HOST)) as there:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{proxy.port}")
        assert (await told(sender(), f"https://{HOST}:{there.port}/")).status == 200
        assert proxy.connections == 0


async def test_a_cookie_is_not_given_back(sender: Make) -> None:
    async with site(says(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")) as there:
        one = sender()
        await told(one, f"http://{HOST}:{there.port}/")
        await told(one, f"http://{HOST}:{there.port}/")
    assert b"cookie" not in there.requests[1].lower()


# Deadlines and sizes


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nX-A: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_answer_that_drips_is_ended_by_the_deadline(
    sender: Make, certify: Certify, start: bytes, scheme: str
) -> None:
    began = time.monotonic()
    async with site(drips(start), certify(HOST) if scheme == "https" else None) as there:
        assert await is_unreachable(sender(deadline=SHORT), f"{scheme}://{HOST}:{there.port}/")
        await there.ended.wait()
    assert SHORT <= time.monotonic() - began < PATIENT / 2


async def test_silence_is_ended_by_the_deadline(sender: Make) -> None:
    async with site(waits) as there:
        assert await is_unreachable(sender(deadline=SHORT), f"http://{HOST}:{there.port}/")
        await there.ended.wait()


async def test_a_handshake_that_does_not_come_is_ended_by_the_deadline(sender: Make) -> None:
    async with site(waits) as there:  # it speaks no TLS, and waits for the end of a head
        assert await is_unreachable(sender(deadline=SHORT), f"https://{HOST}:{there.port}/")
        await there.ended.wait()
    assert there.requests == []


async def test_a_resolver_that_does_not_come_back_is_ended_by_the_deadline(sender: Make) -> None:
    waiting = sender(Never(), private=False, deadline=SHORT)
    assert await is_unreachable(waiting, f"https://{HOST}/")
    await waiting.check(f"https://{HOST}/")


async def test_nothing_is_called_once_the_deadline_has_passed(sender: Make) -> None:
    async with site(says(OK)) as there:
        assert await is_unreachable(sender(deadline=0), f"http://{HOST}:{there.port}/")
        assert there.connections == 0


async def test_a_cancelled_post_ends_its_connection(sender: Make) -> None:
    async with site(waits) as there:
        post = asyncio.create_task(told(sender(), f"http://{HOST}:{there.port}/"))
        await there.asked.wait()
        post.cancel()
        with pytest.raises(asyncio.CancelledError):
            await post
        await there.ended.wait()


async def test_many_posts_wait_side_by_side(sender: Make) -> None:
    together = asyncio.Barrier(4)

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await together.wait()
        writer.write(OK)

    async with site(talk) as there:
        one = sender()
        answers = await asyncio.gather(*(told(one, f"http://{HOST}:{there.port}/") for _ in range(4)))
    assert [answer.status for answer in answers] == [200] * 4


async def test_only_the_capped_part_of_an_answer_is_waited_for(sender: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 1000)
        await reader.read()

    async with site(talk) as there:
        assert (await told(sender(response_cap=1000), f"http://{HOST}:{there.port}/")).status == 200
        await there.ended.wait()
        assert await is_unreachable(sender(response_cap=1001, deadline=SHORT), f"http://{HOST}:{there.port}/")


# What is made of an answer


@pytest.mark.parametrize("status", [200, 204, 302, 400, 410, 429, 500, 503])
async def test_every_status_is_an_answer(sender: Make, status: int) -> None:
    async with site(says(f"HTTP/1.1 {status} Word\r\nContent-Length: 0\r\n\r\n".encode())) as there:
        assert await told(sender(), f"http://{HOST}:{there.port}/") == Answer(status)


async def retry_after(sender: WebhookSender, value: str) -> int | None:
    async with site(says(f"HTTP/1.1 429 Slow\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n".encode())) as there:
        return (await told(sender, f"http://{HOST}:{there.port}/")).retry_after


async def test_retry_after_is_read_as_seconds(sender: Make) -> None:
    assert await retry_after(sender(), "120") == 120
    assert await retry_after(sender(), "0") == 0


async def test_retry_after_is_read_as_a_date(sender: Make) -> None:
    seconds = await retry_after(sender(), format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True))
    assert seconds is not None
    assert 3500 < seconds <= 3600


async def test_a_date_that_has_passed_means_now(sender: Make) -> None:
    assert await retry_after(sender(), "Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert await retry_after(sender(), "Wed, 21 Oct 2015 07:28:00 -0000") == 0


@pytest.mark.parametrize(
    "value",
    ["", "soon", "-1", "1.5", "1e3", "١٢", "9" * 5000, "Wed, 99 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 0 25:61:00 GMT"],
)
async def test_a_retry_after_that_cannot_be_read_is_ignored(sender: Make, value: str) -> None:
    assert await retry_after(sender(), value) is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 999999 No\r\n\r\n",
        b"HTTP/1.1 abc No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab",
    ],
)
async def test_an_answer_that_is_none_is_unreachable(sender: Make, answer: bytes) -> None:
    async with site(says(answer)) as there:
        assert await is_unreachable(sender(), f"http://{HOST}:{there.port}/")


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 5\r\n\r\nab",
        b"Content-Length: -5\r\n\r\nab",
        b"Content-Length: x\r\n\r\nab",
        b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nab",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\na",
        b"no header\r\n\r\nab",
    ],
)
async def test_a_body_that_breaks_off_takes_nothing_from_the_status(sender: Make, rest: bytes) -> None:
    async with site(says(b"HTTP/1.1 200 OK\r\n" + rest)) as there:
        assert (await told(sender(), f"http://{HOST}:{there.port}/")).status == 200


async def test_an_answer_that_cannot_be_read_leaves_no_connection_open(sender: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab")
        await reader.read()

    async with site(talk) as there:
        with pytest.raises(Unreachable) as kept:
            await told(sender(), f"http://{HOST}:{there.port}/")
        async with asyncio.timeout(PATIENT):
            await there.ended.wait()
    assert kept.value.__cause__ is not None  # the error, with all that it refers to, was alive until here


async def test_a_packed_answer_is_not_unpacked(sender: Make) -> None:
    async with site(says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")) as there:
        assert (await told(sender(), f"http://{HOST}:{there.port}/")).status == 200


async def test_a_closed_port_is_unreachable(sender: Make) -> None:
    async with site(says(OK)) as there:
        pass
    assert await is_unreachable(sender(), f"http://{HOST}:{there.port}/")
