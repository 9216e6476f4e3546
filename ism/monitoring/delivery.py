"""Telling people about alerts: webhook, e-mail, and anything that Apprise speaks where it is installed."""

from __future__ import annotations

import ipaddress
import logging
import smtplib
import socket
from collections.abc import Callable
from datetime import datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ism.domain.errors import ConfigurationError, IsmError
from ism.domain.monitoring import Alert

if TYPE_CHECKING:
    from ism.settings import Settings
    from ism.storage import Store

Channel = Callable[[Alert], None]
_TIMEOUT_S = 10.0
_log = logging.getLogger("ism.monitoring")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215: of a site's own translators


class DeliveryError(IsmError):
    """An alert could not be told; it stays untold and is tried again in the next turn."""


def safe_address(url: str, private: bool) -> tuple[str, str, int]:
    """Host of a URL, the address that it stands for, and the port.

    The caller connects to this very address: a name that resolves differently a moment later gains nothing.

    Raises:
        DeliveryError: it is no http(s) URL, cannot be resolved, or any of its addresses is not a public one.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise DeliveryError("alert_webhook_url: it is no http or https URL. Correct ISM_ALERT_WEBHOOK_URL.")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)]
    except OSError as error:
        raise DeliveryError(f"alert_webhook_url: {parts.hostname} cannot be resolved. Check the name.") from error
    if not private and not all(map(_is_public, found)):
        raise DeliveryError(
            f"alert_webhook_url: {parts.hostname} is not a public address. "
            "Set ISM_ALERT_WEBHOOK_PRIVATE=true where that is wanted."
        )
    return parts.hostname, found[0], port


def _is_public(text: str) -> bool:
    """Whether an address lies in the public internet, and with it the IPv4 address that it may carry."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    if address.ipv4_mapped is not None:
        return _is_public(str(address.ipv4_mapped))
    if address.sixtofour is not None:
        return _is_public(str(address.sixtofour))
    if address in _NAT64:
        return _is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
    return address.is_global and not address.is_multicast and address not in _NAT64_LOCAL


def webhook(url: str, private: bool, address: str) -> Channel:
    """A channel that posts an alert as JSON; follows no redirect and uses no proxy.

    Args:
        url: where to post.
        private: whether it may lie in a private network.
        address: of the server, before the path of an alert's link.
    """

    def send(alert: Alert) -> None:
        import httpx  # noqa: PLC0415 - only where something is told

        host, resolved, port = safe_address(url, private)
        target = httpx.URL(url).copy_with(host=resolved, port=port)
        told = {**alert.as_dict(), "link": address + alert.link}
        headers = {"Host": httpx.URL(url).netloc.decode()}
        try:
            with httpx.Client(trust_env=False, follow_redirects=False, timeout=_TIMEOUT_S) as client:
                request = client.build_request("POST", target, json=told, headers=headers)
                request.extensions["sni_hostname"] = host
                response = client.send(request)
        except httpx.HTTPError as error:
            raise DeliveryError(f"The webhook cannot be reached ({type(error).__name__}).") from error
        if not 200 <= response.status_code < 300:
            raise DeliveryError(f"The webhook answered {response.status_code}.")

    return send


def email(settings: Settings, address: str) -> Channel:
    """A channel that sends e-mail through the SMTP server of the settings, encrypted where the server can.

    Args:
        settings: of the SMTP server and the people.
        address: of the server, before the path of an alert's link.
    """

    def send(alert: Alert) -> None:
        message = EmailMessage()
        message["Subject"] = f"[{alert.severity}] {alert.state}: {' '.join(alert.message.split())}"
        message["From"], message["To"] = settings.alert_email_from, settings.alert_email_to
        message.set_content(_text(alert, address))
        try:
            with smtplib.SMTP(settings.alert_smtp_host, settings.alert_smtp_port, timeout=_TIMEOUT_S) as server:
                server.ehlo()
                if server.has_extn("starttls"):
                    server.starttls()
                if settings.alert_smtp_user:
                    server.login(settings.alert_smtp_user, settings.alert_smtp_password.get_secret_value())
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise DeliveryError(f"The mail server refused or cannot be reached ({type(error).__name__}).") from error

    return send


def _text(alert: Alert, address: str) -> str:
    return f"{alert.message}\n\n{alert.remedy}\n\nSee {address}{alert.link}\nSince {alert.opened_at.isoformat()}\n"


def apprise(urls: str, address: str) -> Channel:
    """A channel to every service of some Apprise URLs.

    Args:
        urls: separated by commas.
        address: of the server, before the path of an alert's link.

    Raises:
        ConfigurationError: Apprise is not installed.
    """
    try:
        from apprise import Apprise  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise ConfigurationError(
            "alert_apprise_urls: install the extra: pip install 'ism-ai-platform[alerts]'."
        ) from error
    service = Apprise()
    service.add(urls)

    def send(alert: Alert) -> None:
        if not service.notify(title=f"[{alert.severity}] {alert.state}", body=_text(alert, address)):
            raise DeliveryError("Apprise could not tell every service.")

    return send


def channels_of(settings: Settings, address: str) -> list[Channel]:
    """The channels that the settings ask for; none by default.

    Args:
        settings: of delivery.
        address: at which people reach the server; no slash at its end.
    """
    found: list[Channel] = []
    if settings.alert_webhook_url is not None:
        url = settings.alert_webhook_url.get_secret_value()
        found.append(webhook(url, settings.alert_webhook_private, address))
    if settings.alert_email_to and settings.alert_smtp_host:
        found.append(email(settings, address))
    if settings.alert_apprise_urls is not None:
        found.append(apprise(settings.alert_apprise_urls.get_secret_value(), address))
    return found


class Delivery:
    """Tells what is new of alerts: that one opened, and that one which was told is resolved.

    An alert is told at least once through every channel: where one fails, all are tried again in the next turn.

    Args:
        store: keeps alerts and what was told.
        channels: where to tell.
    """

    def __init__(self, store: Store, channels: list[Channel]) -> None:
        self._store, self._channels = store, channels

    def deliver(self, now: datetime) -> int:
        """One turn; how many alerts were told."""
        if not self._channels:
            return 0
        new = [a for a in self._store.monitoring.alerts(resolved=False, untold=True) if not _muted(a, now)]
        ended = self._store.monitoring.alerts(resolved=True, untold=True)
        return sum(self._tell(alert) for alert in [*new, *(a for a in ended if a.told is not None)])

    def _tell(self, alert: Alert) -> bool:
        told = True
        for channel in self._channels:
            try:
                channel(alert)
            except DeliveryError as error:
                told = False
                _log.warning("Alert %s was not told and is tried again: %s", alert.cause, error)
        if told:
            state = "resolved" if alert.state == "resolved" else "open"
            self._store.monitoring.change_alert(alert.alert_id, {"told": state})
        return told


def _muted(alert: Alert, now: datetime) -> bool:
    silent = alert.silenced_until is not None and alert.silenced_until > now
    return silent or alert.inhibited_by is not None or alert.state == "acknowledged"
