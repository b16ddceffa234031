"""Positions by POST: answered once they are on disk, whose they are says the credential, and what is wrong is said."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from monitor.findings import FORGED_IDENTITY
from monitor.fixes import VehicleId
from monitor.ingest import topics
from monitor.ingest.sequence import Receipt
from monitor.web import bodies, reception
from monitor.web.problem import Problem
from tests.web.conftest import PATIENCE_S, TOKEN, Serve, Served

PATH = "/api/v1/fixes"
FIX = {"time": "2026-03-02T11:59:00Z", "lat": 43.62, "lon": -79.71}
PROBLEM = "application/problem+json"


def fixes(*more: dict[str, Any]) -> bytes:
    return json.dumps([FIX | each for each in more or ({},)]).encode()


def posted(client: httpx.Client, body: bytes, path: str = PATH, **headers: str) -> httpx.Response:
    return client.post(path, content=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_positions_are_answered_with_how_many_there_are(served: Served) -> None:
    with served.client() as client:
        answer = posted(client, fixes({}, {"time": "2026-03-02T11:58:00Z"}))
    assert (answer.status_code, answer.json()["fixes"], answer.json()["rejected"]) == (200, 2, [])
    [message] = served.messages
    assert (message.carrier, message.vehicle) == ("acme", "truck")
    assert message.topic == topics.posted("", answer.json()["request"]), "what is rejected can be found by it"


def test_nothing_is_answered_before_the_commit(served: Served) -> None:
    served.commit.clear()
    answers: list[httpx.Response] = []
    with served.client() as client:
        asking = threading.Thread(target=lambda: answers.append(posted(client, fixes())))
        asking.start()
        assert served.wait_for(lambda: len(served.messages) == 1)
        asking.join(0.2)
        assert not answers
        served.commit.set()
        asking.join(PATIENCE_S)
    assert [answer.status_code for answer in answers] == [200]


def test_what_is_wrong_with_some_of_it_is_said_and_the_rest_is_taken(served: Served) -> None:
    with served.client() as client:
        answer = posted(client, fixes({}, {"lat": 143.0}))
    said = answer.json()
    assert (answer.status_code, said["fixes"], len(said["rejected"])) == (200, 1, 1)
    assert "lat" in said["rejected"][0]["reason"]


def test_what_is_wrong_altogether_is_kept_as_evidence_and_answered_like_all_that_is_on_disk(served: Served) -> None:
    """A sender that tries again until it is told 200 would be held up by it for ever."""
    with served.client() as client:
        answer = posted(client, b"not JSON")
    assert (answer.status_code, answer.json()["fixes"], len(answer.json()["rejected"])) == (200, 0, 1)
    assert answer.json()["rejected"][0]["reason"]
    assert [message.payload for message in served.messages] == [b"not JSON"]


def test_the_receipts_of_the_numbers_in_it_come_with_the_answer(served: Served) -> None:
    served.receipts = [Receipt(VehicleId("acme", "truck"), "a7", 3, ((5, 6),)), Receipt(VehicleId("acme", "other"), "a7", 9, ())]
    with served.client() as client:
        answer = posted(client, fixes({"boot": "a7", "seq": 3}))
    assert answer.json()["received"] == [{"vehicle": "truck", "boot": "a7", "through": 3, "missing": [[5, 6]]}]


@pytest.mark.parametrize("said", [True, False])
def test_a_packed_body_is_unpacked_whether_it_says_so_or_not(served: Served, said: bool) -> None:
    with served.client() as client:
        headers = {"Content_Encoding": "gzip"} if said else {}
        answer = posted(client, gzip.compress(fixes()), **headers)
    assert (answer.status_code, answer.json()["fixes"]) == (200, 1)
    assert [message.payload for message in served.messages] == [fixes()]


def test_a_bearer_token_says_who_it_is_alone(served: Served) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{served.door.port}", timeout=PATIENCE_S) as client:
        answer = posted(client, fixes(), f"{PATH}?vehicle=truck-9", Authorization=f"Bearer {TOKEN}")
    assert answer.status_code == 200
    assert [(message.carrier, message.vehicle) for message in served.messages] == [("acme", "truck-9")]


@pytest.mark.parametrize(
    "header",
    ["", "Bearer wrong", "Basic !!!", "Basic YWNtZTp3cm9uZw==", "Basic YWNtZQ==", "Digest x", "Bearer x y", "Basic /w=="],
)
def test_whoever_is_not_known_is_401_and_nothing_of_it_is_taken(served: Served, header: str) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{served.door.port}", timeout=PATIENCE_S) as client:
        answer = posted(client, fixes(), **({"Authorization": header} if header else {}))
    assert (answer.status_code, answer.headers["content-type"]) == (401, PROBLEM)
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert not served.messages


def test_a_vehicle_that_says_it_is_another_is_refused_and_that_is_recorded(served: Served) -> None:
    with served.client("acme/truck") as client:
        answer = posted(client, fixes(), f"{PATH}?vehicle=other")
    assert (answer.status_code, answer.headers["content-type"]) == (403, PROBLEM)
    assert served.wait_for(lambda: len(served.findings) == 1)
    assert [(found.kind, found.carrier, found.subject) for found in served.findings] == [(FORGED_IDENTITY, "acme", "truck")]
    assert [(reject.carrier, reject.vehicle) for reject in served.rejects] == [("acme", "truck")]
    assert not served.messages


def test_dispatchers_send_no_positions(served: Served) -> None:
    with served.client("dispatch") as client:
        assert posted(client, fixes()).status_code == 403


@pytest.mark.parametrize(
    ("query", "word"),
    [("feed=nobody", "feed"), ("vehicle=a%2Fb", "vehicle"), ("device=%00", "device"), ("device=" + "x" * 200, "device")],
)
def test_a_name_that_cannot_be_is_422_with_what_is_allowed(served: Served, query: str, word: str) -> None:
    with served.client("acme") as client:
        answer = posted(client, fixes(), f"{PATH}?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert word in answer.json()["detail"]


def test_a_form_of_another_sender_is_read_by_its_name(served: Served) -> None:
    body = json.dumps({"_type": "location", "lat": 43.62, "lon": -79.71, "tst": 1772452740, "tid": "ab"}).encode()
    with served.client() as client:
        answer = posted(client, body, f"{PATH}?format=owntracks")
    assert (answer.status_code, answer.json()["fixes"]) == (200, 1)
    assert [message.feed for message in served.messages] == ["owntracks"]


def test_a_device_id_goes_with_the_message(served: Served) -> None:
    with served.client("acme") as client:
        answer = posted(client, fixes(), f"{PATH}?device=8613/a")
    assert [(message.vehicle, message.device) for message in served.messages] == [("", "8613/a")]
    assert served.messages[0].topic == topics.posted("", answer.json()["request"], "8613/a"), (
        "what is quarantined knows its device"
    )
    assert "8613/a" in answer.json()["rejected"][0]["reason"], "nobody has adopted it"


def stream(*chunks: bytes) -> Iterator[bytes]:
    yield from chunks


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_is_413_and_not_read_to_its_end(served: Served, announced: bool) -> None:
    body = b" " * 70_000
    with served.client() as client:
        answer = client.post(PATH, content=body if announced else stream(body, b"x"))
    assert (answer.status_code, answer.headers["content-type"], answer.json()["most"]) == (413, PROBLEM, 65_536)
    assert served.wait_for(lambda: len(served.rejects) == 1)


def test_a_bomb_is_never_unpacked_beyond_what_is_allowed() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield gzip.compress(b"0" * 10_000_000)

    held: list[int] = []
    with pytest.raises(Problem, match="too large"):
        asyncio.run(bodies.read(chunks(), 20_000, held.append, gzip=True))
    assert sum(held) == 20_001


def test_what_follows_the_end_of_a_packed_body_is_not_taken_without_end(served: Served) -> None:
    with served.client() as client:
        assert posted(client, gzip.compress(fixes()) + b"x" * 70_000, Content_Encoding="gzip").status_code == 413


def test_a_bomb_is_413(served: Served) -> None:
    with served.client() as client:
        answer = posted(client, gzip.compress(b"0" * 10_000_000, mtime=0), Content_Encoding="gzip")
    assert answer.status_code == 413
    assert not served.messages


@pytest.mark.parametrize(
    "body", [b"plain", gzip.compress(fixes())[:-4], gzip.compress(fixes()) + b"x"], ids=["no gzip", "cut short", "more behind it"]
)
def test_a_body_that_is_not_the_gzip_it_says_is_400(served: Served, body: bytes) -> None:
    with served.client() as client:
        answer = posted(client, body, Content_Encoding="gzip")
    assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)


@pytest.mark.parametrize(("name", "value"), [("Content_Type", "image/png"), ("Content_Encoding", "br")])
def test_a_form_that_nobody_reads_is_415(served: Served, name: str, value: str) -> None:
    with served.client() as client:
        assert posted(client, fixes(), **{name: value}).status_code == 415


def test_a_carrier_that_sends_faster_than_is_stored_is_put_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.ingress.inbox, "full", lambda carrier: carrier == "acme")
    with served.client("acme") as flooding, served.client("other") as other:
        answer = posted(flooding, fixes(), f"{PATH}?vehicle=x")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert posted(other, fixes(), f"{PATH}?vehicle=x").status_code == 200


def test_a_request_that_is_not_stored_in_time_is_put_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "ANSWER_S", 0.05)
    served.commit.clear()
    with served.client() as client:
        answer = posted(client, fixes())
    assert (answer.status_code, answer.headers["content-type"], answer.headers["retry-after"]) == (503, PROBLEM, "5")


def test_while_the_credentials_cannot_be_read_everybody_is_put_off(served: Served) -> None:
    with served.client("broken") as client:
        answer = posted(client, fixes())
    assert (answer.status_code, answer.json()["detail"]) == (503, "monitor.db: the disk is full")


def test_too_many_requests_of_one_carrier_are_put_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "OF_A_CARRIER", 1)
    served.commit.clear()
    first: list[httpx.Response] = []
    with served.client() as one, served.client() as two, served.client("other/x") as other:
        asking = threading.Thread(target=lambda: first.append(posted(one, fixes())))
        asking.start()
        assert served.wait_for(lambda: len(served.messages) == 1)
        assert posted(two, fixes()).status_code == 503
        served.commit.set()
        asking.join(PATIENCE_S)
        assert posted(other, fixes()).status_code == 200
        assert posted(two, fixes()).status_code == 200, "what was held is given back"
    assert first[0].status_code == 200


def test_bytes_that_are_held_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "HELD_OF_A_CARRIER", 100)
    with served.client() as client:
        assert posted(client, b" " * 200).status_code == 503
        assert [posted(client, fixes()).status_code for _ in range(3)] == [200] * 3, "what was held is given back"


def test_a_request_under_way_is_answered_when_the_monitor_ends(serve: Serve) -> None:
    served = serve()
    served.commit.clear()
    answers: list[httpx.Response] = []
    with served.client() as client:
        asking = threading.Thread(target=lambda: answers.append(posted(client, fixes())))
        asking.start()
        assert served.wait_for(lambda: len(served.messages) == 1)
        served.ingress.close()
        served.commit.set()
        asking.join(PATIENCE_S)
    assert [answer.status_code for answer in answers] == [200]


def test_what_nobody_will_commit_is_put_off_when_the_monitor_ends(serve: Serve) -> None:
    served = serve()
    served.commit.clear()
    answers: list[httpx.Response] = []
    with served.client() as first, served.client() as second:
        asking = [threading.Thread(target=lambda c=c: answers.append(posted(c, fixes()))) for c in (first, second)]
        asking[0].start()
        assert served.wait_for(lambda: len(served.messages) == 1)
        asking[1].start()
        waiting = threading.Event()
        while not served.ingress.inbox.waiting:
            waiting.wait(0.01)
        served.ingress.close()
        served.commit.set()
        for each in asking:
            each.join(PATIENCE_S)
    assert sorted(answer.status_code for answer in answers) == [200, 503]


def test_what_was_still_read_when_the_monitor_ended_is_put_off_at_once(serve: Serve) -> None:
    """Nobody takes it any more: to wait would end in 500 when the server's patience is over."""
    served = serve()
    served.may_judge.clear()
    answers: list[httpx.Response] = []
    with served.client() as client:
        asking = threading.Thread(target=lambda: answers.append(posted(client, fixes())))
        asking.start()
        assert served.judging.wait(PATIENCE_S)
        served.ingress.close()
        while connects(served.door.port):
            pass
        served.may_judge.set()
        asking.join(PATIENCE_S)
    assert [(answer.status_code, answer.headers["content-type"]) for answer in answers] == [(503, PROBLEM)]


def connects(port: int) -> bool:
    """Whether anybody listens still."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
