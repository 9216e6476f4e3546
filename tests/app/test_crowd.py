"""What comes beyond what can be worked on is told to come again; health checks always get in."""

import asyncio

from ism.app.http.crowd import STREAM, Crowd


def ask(app, path):
    """The messages of an answer."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "path": path, "method": "GET", "headers": []}
    return asyncio.create_task(app(scope, receive, send)), sent


def slow(leave):
    """Answers when it may leave."""

    async def app(scope, receive, send):
        await leave.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    return app


def test_beyond_the_limit_503_says_when_to_come_again():
    async def play():
        leave = asyncio.Event()
        crowd = Crowd(slow(leave), 2, 2)
        inside = [ask(crowd, "/api/companies") for _ in range(2)]
        streams = [ask(crowd, STREAM), ask(crowd, "/healthz"), ask(crowd, "/static/a.css")]
        await asyncio.sleep(0)
        refused, answer = ask(crowd, "/api/companies")
        await refused
        assert answer[0]["status"] == 503
        assert (b"retry-after", b"1") in answer[0]["headers"]
        leave.set()
        await asyncio.gather(*(task for task, _ in inside + streams))
        assert {sent[0]["status"] for _, sent in inside + streams} == {200}
        again, answer = ask(crowd, "/api/companies")
        await again
        assert answer[0]["status"] == 200

    asyncio.run(asyncio.wait_for(play(), 20))


def test_matches_leave_room_for_the_rest():
    async def play():
        leave = asyncio.Event()
        crowd = Crowd(slow(leave), 4, 1)
        inside = [ask(crowd, "/api/matches"), ask(crowd, "/api/feedback")]
        await asyncio.sleep(0)
        for path in ("/api/matches", "/matches"):
            refused, answer = ask(crowd, path)
            await refused
            assert answer[0]["status"] == 503
            assert b"1 matches are being worked on" in answer[1]["body"]
        leave.set()
        await asyncio.gather(*(task for task, _ in inside))
        again, answer = ask(crowd, "/api/matches")
        await again
        assert answer[0]["status"] == 200

    asyncio.run(asyncio.wait_for(play(), 20))
