"""The marketplace whose tables are read and written, for who may write."""

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ism.app.http.access import MAY_WRITE, App, api_router
from ism.app.marketplace.connector import MarketplaceConnector
from ism.app.wiring import Application
from ism.domain.errors import ConfigurationError, ConflictError

router = api_router("Marketplace")
Json = dict[str, Any]


class ExchangeRequest(BaseModel):
    """How to exchange."""

    model_config = ConfigDict(extra="forbid")
    whole: bool = Field(False, description="Read whole tables, whatever changed.")
    allow_deletions: bool = Field(False, description="Whether more than half of what is stored may be removed.")


def connector_of(application: Application) -> MarketplaceConnector:
    """The connector.

    Raises:
        ConflictError: no marketplace is set.
    """
    connector = application.marketplace
    if connector is None:
        raise ConflictError("No marketplace is connected. Set SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY.")
    return connector


def exchange(application: Application, asked: ExchangeRequest) -> Json:
    """Exchange now; errors as in `MarketplaceConnector.exchange`, a mapping that does not fit as a conflict."""
    try:
        return asdict(connector_of(application).exchange(asked.whole, asked.allow_deletions))
    except ConfigurationError as error:
        raise ConflictError(str(error)) from error


@router.get("/api/marketplace", dependencies=MAY_WRITE, summary="How the marketplace's tables are exchanged")
def show_marketplace(application: App) -> Json:
    """Tables, stored rows, what the last exchange did, and why it failed where it did."""
    return connector_of(application).status()


@router.post("/api/marketplace/sync", dependencies=MAY_WRITE, summary="Exchange with the marketplace now")
def sync_marketplace(asked: ExchangeRequest, application: App) -> Json:
    """Read what changed, match offers that are new or changed, write matches and feedback."""
    return exchange(application, asked)
