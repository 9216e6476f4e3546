"""Everything that browsers ask for: pages, their panels, forms, live events, files."""

from fastapi import APIRouter

from ism.app.http.routes.pages import acting, acting_alerts, boards, live, matches, reference, sign_in
from ism.app.http.routes.pages.rendering import static

__all__ = ["router", "static"]

router = APIRouter()
for _part in (sign_in, matches, reference, boards, acting, acting_alerts, live):
    router.include_router(_part.router)
