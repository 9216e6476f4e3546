"""Alerts are told through real local servers: a webhook over HTTP, and e-mail over SMTP."""

import json
import socketserver
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ism.app.monitoring import Monitoring
from ism.app.record import shown_url
from ism.domain.monitoring import Alert
from ism.monitoring.delivery import Delivery, DeliveryError, channels_of, webhook
from ism.settings import Settings
from ism.storage import open_sqlite

NOW = datetime.now(UTC)
ALERT = Alert("a1", "cpu", "cpu", "critical", "open", "Busy\r\nBcc: everybody@example.org", "Cancel a job.",
              "/system#panel-cpu", 95.0, 80.0, NOW, NOW)  # fmt: skip
HERE = "https://ism.example.org/market"  # the address of the server
LINK = "https://ism.example.org/market/system#panel-cpu"


@contextmanager
def listening(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class Hook(BaseHTTPRequestHandler):
    """Answers what its server's ``answers`` say, 200 at the end; keeps what came."""

    def do_POST(self):
        self.server.heard.append(
            (self.headers["Host"], json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        )
        status, headers = self.server.answers.pop(0) if self.server.answers else (200, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.heard, server.answers = [], []
    with listening(server) as port:
        server.url = f"http://localhost:{port}/alerts?token=x"
        yield server


class Mailbox(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a client needs to hand over a message; refuses recipients while its server is ``full``."""

    def handle(self):
        self.say("220 mailbox")
        while line := self.rfile.readline():
            word = line[:4].upper().strip()
            if word == b"DATA":
                self.say("354 go on")
                self.server.mails.append(b"".join(iter(self.rfile.readline, b".\r\n")))
            elif word == b"QUIT":
                self.say("221 bye")
                return
            self.say("452 full" if word == b"RCPT" and self.server.full else "250 fine")

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def mailbox():
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox)
    server.mails, server.full = [], False
    with listening(server):
        yield server


@pytest.fixture
def store(tmp_path):
    with open_sqlite(tmp_path) as opened:
        opened.monitoring.open_alert(ALERT)
        yield opened


def told(store):
    return [alert.told for alert in store.monitoring.alerts(resolved=False)]


def test_a_webhook_gets_the_alert_as_json_under_its_own_name(hook, store):
    assert Delivery(store, [webhook(hook.url, private=True, address=HERE)]).deliver(NOW) == 1
    ((host, body),) = hook.heard
    assert host == hook.url.split("/")[2]
    assert (body["cause"], body["remedy"], body["link"]) == ("cpu", "Cancel a job.", LINK)
    assert told(store) == ["open"]


@pytest.mark.parametrize("answer", [(500, {}), (302, {"Location": "http://169.254.169.254/latest"})])
def test_a_webhook_that_fails_or_redirects_is_asked_again(hook, store, answer):
    hook.answers.append(answer)
    delivery = Delivery(store, [webhook(hook.url, private=True, address=HERE)])
    assert [delivery.deliver(NOW) for _ in range(3)] == [0, 1, 0]
    assert len(hook.heard) == 2
    assert told(store) == ["open"]


def test_a_webhook_nobody_listens_at_is_a_failure_that_is_told(hook):
    port = int(hook.url.split(":")[2].partition("/")[0])
    with pytest.raises(DeliveryError, match="cannot be reached"):
        webhook(f"https://localhost:{port}/", private=True, address=HERE)(ALERT)  # it does not speak TLS


def test_a_private_webhook_is_not_called_unless_that_is_wanted(hook, store):
    assert Delivery(store, [webhook(hook.url, private=False, address=HERE)]).deliver(NOW) == 0
    assert hook.heard == []
    assert told(store) == [None]


def post(mailbox, **more):
    host, port = mailbox.server_address
    people = {"alert_email_to": "ops@example.org", "alert_email_from": "ism@example.org"}
    return Settings(alert_smtp_host=host, alert_smtp_port=port, _env_file=None, **people, **more)


def test_an_email_says_what_to_do_and_takes_no_header_from_a_message(mailbox, store):
    assert Delivery(store, channels_of(post(mailbox), HERE)).deliver(NOW) == 1
    (raw,) = mailbox.mails
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["To"] == "ops@example.org"
    assert mail["Subject"] == "[critical] open: Busy Bcc: everybody@example.org"
    assert mail["Bcc"] is None
    assert "Cancel a job." in mail.get_content()
    assert f"See {LINK}" in mail.get_content().splitlines()


def test_a_mailbox_that_refuses_is_tried_again(mailbox, store):
    delivery = Delivery(store, channels_of(post(mailbox), HERE))
    mailbox.full = True
    assert delivery.deliver(NOW) == 0
    mailbox.full = False
    assert delivery.deliver(NOW) == 1
    assert len(mailbox.mails) == 1


def test_both_are_told_where_both_are_set(hook, mailbox, store):
    settings = post(mailbox, alert_webhook_url=hook.url, alert_webhook_private=True)
    assert Delivery(store, channels_of(settings, HERE)).deliver(NOW) == 1
    assert (len(hook.heard), len(mailbox.mails)) == (1, 1)
    assert channels_of(Settings(_env_file=None), HERE) == []


def test_apprise_tells_what_to_do_and_where_to_look(hook, store):
    settings = Settings(alert_apprise_urls=f"json://localhost:{hook.server_address[1]}/alerts", _env_file=None)
    delivery = Delivery(store, channels_of(settings, HERE))
    hook.answers.append((500, {}))
    assert [delivery.deliver(NOW) for _ in range(3)] == [0, 1, 0]
    (_, body), again = hook.heard
    assert body["title"] == "[critical] open"
    assert "Cancel a job." in body["message"]
    assert f"See {LINK}" in body["message"]
    assert again[1]["message"] == body["message"]


def test_links_lead_to_the_public_address_or_to_this_machine():
    def shown(**given):
        return shown_url(Settings(_env_file=None, **given))

    assert shown(host="0.0.0.0", port=5055) == "http://127.0.0.1:5055"
    assert shown(public_url="https://ism.example.org/market/") == HERE
    for wrong in ("ism.example.org", "ftp://ism.example.org", "https://", "https://ism.example.org/?a=b"):
        with pytest.raises(ValueError, match="public_url"):
            shown(public_url=wrong)


def test_what_is_told_leads_to_the_address_of_the_settings(hook, tmp_path):
    settings = Settings(
        data_dir=tmp_path / "data", public_url=HERE, alert_webhook_url=hook.url, alert_webhook_private=True,
        _env_file=None,
    )  # fmt: skip
    with open_sqlite(settings.data_dir) as opened:
        opened.monitoring.open_alert(ALERT)
        monitoring = Monitoring(settings, opened)
        monitoring.collector.collect(NOW)
        monitoring.close()
    assert [body["link"] for _, body in hook.heard] == [LINK]
