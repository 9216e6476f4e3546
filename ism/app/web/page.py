"""What a page is made of, and what a view is asked with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ism.app.web.panel import Panel
from ism.app.web.period import Period
from ism.domain.errors import NotFoundError

if TYPE_CHECKING:
    from ism.app.web.flows import Flows
    from ism.app.wiring import Application


@dataclass(frozen=True, slots=True)
class Asked:
    """What a view works with.

    Attributes:
        chosen: filters as the address gives them, without the period.
        may_write: whether the caller may act on feedback and jobs.
        may_manage: whether the caller may change what serves.
    """

    application: Application
    flows: Flows
    period: Period
    chosen: Mapping[str, str] = field(default_factory=dict)
    may_write: bool = False
    may_manage: bool = False

    def address(self, path: str, **changes: str) -> str:
        """A page with the same period and filters, but for some; the empty text takes a filter away."""
        values = {**self.chosen, **changes}
        if "range" not in values:
            values |= self.period.given
        return f"{path}?{urlencode({name: value for name, value in values.items() if value})}"


@dataclass(frozen=True, slots=True)
class Filter:
    """A choice above the panels of a page; ``options`` are pairs of value and label, without "all"."""

    name: str
    label: str
    options: Sequence[tuple[str, str]]
    every: str = "All"


MakePanel = Callable[[Asked], Panel]


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its panels by name, in order.

    Attributes:
        filters: what its panels can be cut by.
        timed: whether its panels look at a period.
        whole: what is shown whatever the period: by panel on a page that is timed, under the empty text for a page that
            is not.
        first: address and words of what one comes to do; empty where one comes to look.
    """

    name: str
    title: str
    lead: str
    panels: Mapping[str, MakePanel]
    filters: Callable[[Asked], Sequence[Filter]] = lambda asked: ()
    timed: bool = True
    whole: Mapping[str, str] = field(default_factory=dict)
    first: tuple[str, str] | tuple[()] = ()

    @property
    def path(self) -> str:
        """Its address."""
        return "/" if self.name == "overview" else f"/{self.name}"

    def panel(self, name: str) -> MakePanel:
        """What makes one of its panels; NotFoundError where there is none of that name."""
        if name not in self.panels:
            raise NotFoundError("panel", f"{self.name}/{name}")
        return self.panels[name]
