"""What each page shows: one module a page, one function a panel."""

from ism.app.web.page import Page
from ism.app.web.views import alerts, feedback, jobs, matches, models, network, overview, system

PAGES: dict[str, Page] = {
    each.PAGE.name: each.PAGE for each in (overview, network, feedback, models, jobs, alerts, system)
}
WITH_PANELS: dict[str, Page] = {**PAGES, matches.PAGE.name: matches.PAGE}  # that of matches is a page of its own kind
