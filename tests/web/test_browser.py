"""The pages in a real browser: accessible, by keyboard, within the policy, at every width, live."""

import time
from pathlib import Path

import pytest
from browsing import BOARDS, PAGES, Site, signed_in, tell, violations, visit
from playwright.sync_api import Browser, Page, Route


def test_axe_finds_nothing_on_any_page_in_either_theme(browser: Browser, site: Site) -> None:
    found = {}

    def look(page: Page, name: str) -> None:
        found[name] = violations(page)
        page.emulate_media(color_scheme="dark")
        found[f"{name}, dark"] = violations(page, only_colours=True)  # nothing else differs between the themes
        page.emulate_media(color_scheme="light")

    with signed_in(browser, site, color_scheme="light", reduced_motion="reduce") as page:
        for path in (*PAGES, "/matches?material=coal+fly+ash", "/network?chapter=10", "/feedback?range=1h"):
            visit(page, site, path)
            page.evaluate("() => { for (const each of document.querySelectorAll('.twin')) each.open = true; }")
            look(page, path)
        page.goto(f"{site.url}/matches?material=coal+fly+ash")
        page.click("text=Find receivers")
        page.wait_for_selector("#panel-list canvas")
        page.click("#panel-list-table summary")
        look(page, "an answer")
        assert not site.complaints
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


FILLED = {
    "models": ("serving", "quality", "gate", "versions", "ledger", "fusion", "weights"),
    "jobs": ("retraining", "history", "begin", "searches", "trials", "importances", "coordinates", "log"),
    "system": ("outlook", "forecast-requests", "changes", "audit"),
}  # panels that other tests of this file are to see with something in them


def test_the_panels_that_are_looked_at_are_filled(browser: Browser, site: Site) -> None:
    with signed_in(browser, site) as page:
        for name, panels in FILLED.items():
            visit(page, site, f"/{name}")
            empty = [panel for panel in panels if not page.locator(f"#panel-{panel} tbody tr").count()]
            assert not empty, name
        assert not site.complaints


_SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "width",
    [pytest.param(320, marks=_SLOW), 390, pytest.param(768, marks=_SLOW), 1440, pytest.param(2560, marks=_SLOW)],
)
def test_no_page_scrolls_sideways(browser: Browser, site: Site, width: int) -> None:
    with signed_in(browser, site, viewport={"width": width, "height": 800}) as page:
        for path in PAGES:
            visit(page, site, path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        page.goto(f"{site.url}/matches?material=coal+fly+ash")
        page.click("text=Find receivers")
        page.wait_for_selector(".match")
        page.click("#panel-list-table summary")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "an answer"
        assert not site.complaints  # what breaks the content-security policy is reported there, too


def test_the_policy_is_in_force_and_complaints_are_heard(browser: Browser, site: Site) -> None:
    with signed_in(browser, site) as page:
        visit(page, site, "/")
        assert not site.complaints
        page.evaluate("document.querySelector('h1').innerHTML = '<b style=\"color: red\">now</b>'")
        page.wait_for_timeout(200)
        assert any("Content Security Policy" in said for said in site.complaints)


def focused(page: Page) -> str:
    return str(
        page.evaluate("(document.activeElement.getAttribute('href') || document.activeElement.textContent).trim()")
    )


def tab_to(page: Page, wanted: str, most: int = 60) -> None:
    for _ in range(most):
        page.keyboard.press("Tab")
        if focused(page) == wanted:
            return
    raise AssertionError(f"{wanted!r} was not reached by {most} tabs; the focus is on {focused(page)!r}")


def test_everything_is_done_by_keyboard(browser: Browser, site: Site) -> None:
    with signed_in(browser, site) as page:
        visit(page, site, "/")
        page.keyboard.press("Tab")
        assert focused(page) == "#main"
        tab_to(page, "/network")
        page.keyboard.press("Enter")
        page.wait_for_url("**/network")
        page.wait_for_load_state()
        page.focus("#filter-chapter")
        page.keyboard.type("10")
        tab_to(page, "Show")
        page.keyboard.press("Enter")
        page.wait_for_url("**chapter=10**")
        page.focus("#panel-map-export > summary")
        page.keyboard.press("Enter")
        assert page.is_visible("#panel-map-export a")
        page.keyboard.press("Escape")
        assert not page.is_visible("#panel-map-export a")
        page.focus("#panel-map-table > summary")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('role')") == "region"  # can be scrolled by arrows


def test_the_menu_of_a_small_screen_opens_by_keyboard_and_closes_by_escape(browser: Browser, site: Site) -> None:
    with signed_in(browser, site, viewport={"width": 390, "height": 800}) as page:
        visit(page, site, "/")
        assert not page.is_visible("#main-nav")
        page.focus(".menu")
        page.keyboard.press("Enter")
        assert page.is_visible("#main-nav")
        page.keyboard.press("Escape")
        assert not page.is_visible("#main-nav")
        assert page.evaluate("document.activeElement.className") == "menu"


def test_every_panel_can_be_taken_along_as_csv_json_and_png(browser: Browser, site: Site, tmp_path: Path) -> None:
    with signed_in(browser, site, accept_downloads=True) as page:
        for path in (*BOARDS, "/matches?request=r"):
            visit(page, site, path)
            names = [panel.get_attribute("id") for panel in page.query_selector_all(".panel:has(.export)")]
            assert names
            for name in names:
                panel = page.locator(f"#{name}")  # found anew at each step: the page may just have drawn it again
                panel.locator(".export summary").click()
                with page.expect_download() as download:
                    panel.locator("[data-png]").click()
                picture = tmp_path / "picture.png"
                download.value.save_as(picture)
                assert picture.read_bytes().startswith(b"\x89PNG")
                links = [link.get_attribute("href") for link in panel.locator(".export a").all()]
                assert links
                assert all(page.request.get(site.url + link).ok for link in links)
        assert not site.complaints


def test_an_answer_has_an_address_that_shows_the_list_again(browser: Browser, site: Site) -> None:
    with signed_in(browser, site) as page:
        page.goto(f"{site.url}/matches?material=coal+fly+ash")
        page.click("text=Find receivers")
        page.wait_for_selector(".match")
        page.wait_for_url("**/matches?request=r#results")
        shown = numbers(page, "list")
        assert [row["Receiver"] for row in shown] == ["Aalborg Portland", "Aalborg Portland"]
        page.reload()
        page.wait_for_selector("#panel-list canvas")
        assert numbers(page, "list") == shown
        assert page.input_value("#material") == "coal fly ash"
        assert not site.complaints


def test_the_theme_that_is_chosen_stays(browser: Browser, site: Site) -> None:
    with signed_in(browser, site, color_scheme="light") as page:
        visit(page, site, "/")
        before = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.click("text=Dark theme")
        visit(page, site, "/feedback")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
        page.click("text=Light theme")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == before


def test_what_is_told_is_seen_without_loading_the_page_again(browser: Browser, site: Site) -> None:
    with signed_in(browser, site) as page:
        visit(page, site, "/feedback")
        page.wait_for_selector("[data-live][data-state=live]")
        time.sleep(1.5)  # the first look of the server is what later ones are compared with
        letter = {"type": "user_feedback", "source": "user", "data": {"model_name": "matching", "rating": 77}}
        before = page.locator("#panel-letters tbody tr").count()
        told = {"type": "user_feedback", "source": "user", "data": {"model_name": "matching", "rating": 5}}
        tell(site.application.feedback, [letter, told])
        page.wait_for_function(
            "(before) => document.querySelectorAll('#panel-letters tbody tr').length > before", arg=before, timeout=5000
        )
        assert page.evaluate("document.querySelectorAll('#panel-letters').length") == 1


def test_a_silent_server_is_told_as_such(browser: Browser, site: Site) -> None:
    with signed_in(browser, site) as page:
        page.route("**/api/stream", lambda route: route.abort())
        visit(page, site, "/")
        page.wait_for_selector("[data-live][data-state=reconnecting]")
        assert "Reconnecting; as of" in page.inner_text("[data-live]")


def test_texts_of_others_stay_texts(browser: Browser, site: Site) -> None:
    with signed_in(browser, site) as page:
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        evil = "<img src=x onerror=alert(1)>"
        for path in (*BOARDS, f"/matches?material={evil}", f"/feedback?done={evil}", f"/network?company={evil}"):
            visit(page, site, path)
            assert page.locator("img[src=x]").count() == 0, path
        visit(page, site, "/network?company=evil")
        assert "<img src=x" in page.inner_text("#panel-links")
        shown = {"/feedback": ("letters",), "/alerts": ("open",), "/jobs?job=evil": ("retraining", "history"),
                 "/": ("attention",), "/system": ("changes",)}  # fmt: skip
        for path, panels in shown.items():
            visit(page, site, path)
            for panel in panels:
                assert "<img src=x" in page.inner_text(f"#panel-{panel}"), panel
        assert not dialogs
        assert not site.complaints


def test_an_alert_leads_to_its_cause_and_is_settled_by_keyboard(browser: Browser, site: Site) -> None:
    with signed_in(browser, site) as page:
        visit(page, site, "/alerts")
        page.click("#panel-open tbody a >> nth=0")
        page.wait_for_url("**/system?range=24h#panel-*")
        visit(page, site, "/alerts")
        page.focus("#panel-open .confirm summary >> nth=0")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.name") == "minutes"
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/alerts?done=*")
        assert "silent until" in page.inner_text("#panel-open")
        page.click("#panel-open .confirm summary >> text=Resolve >> nth=0")
        page.click("#panel-open .confirm[open] button")
        assert "The alert is resolved." in page.inner_text(".banner.done")
        assert page.locator("#panel-history tbody tr").count() >= 1
        assert not violations(page)


def test_a_panel_in_use_is_not_drawn_again_until_it_is_let_go(browser: Browser, site: Site) -> None:
    answers: list[Route] = []
    with signed_in(browser, site) as page:
        page.route("**/panels/alerts/rules*", lambda route: answers.append(route))  # noqa: PLW0108 - needs a function
        visit(page, site, "/alerts")
        page.evaluate("document.querySelector('#panel-rules').dataset.drawn = 'before'")
        with page.expect_request("**/panels/alerts/rules*"):
            page.evaluate("htmx.trigger(document.body, 'ism:alerts')")  # asked before, answered after it is unfolded
        page.click("#panel-rules .confirm summary >> nth=0")
        page.fill("#panel-rules .confirm[open] input[name=enter]", "91")
        with page.expect_response("**/panels/alerts/rules*"):
            answers.pop().continue_()
        page.evaluate("htmx.trigger(document.body, 'ism:alerts')")
        page.wait_for_timeout(200)
        assert page.input_value("#panel-rules .confirm[open] input[name=enter]") == "91"
        assert not answers
        page.click("#panel-rules .confirm[open] summary")
        page.click("h1")
        page.wait_for_timeout(200)
        answers.pop().continue_()
        page.wait_for_selector("#panel-rules:not([data-drawn])")


def test_a_rule_is_changed_in_place(browser: Browser, site: Site) -> None:
    with signed_in(browser, site) as page:
        visit(page, site, "/alerts")
        page.click("#panel-rules .confirm summary >> nth=0")
        page.fill("#panel-rules .confirm[open] input[name=enter]", "95")
        assert not violations(page)
        page.click("#panel-rules .confirm[open] button")
        assert "above 95 %" in page.inner_text("#panel-rules")


def test_a_letter_is_discarded_and_a_statement_released(browser: Browser, site: Site) -> None:
    with signed_in(browser, site) as page:
        visit(page, site, "/feedback")
        page.click("#panel-letters .confirm summary")
        page.click("#panel-letters .confirm[open] button")
        assert "The letter is discarded." in page.inner_text(".banner.done")
        page.click("#panel-quarantine .confirm summary >> nth=0")
        page.fill("#panel-quarantine .confirm[open] input[name=reason]", "known to us")
        page.click("#panel-quarantine .confirm[open] button")
        assert "The statement is released." in page.inner_text(".banner.done")
    review = site.application.feedback.loop.review.quarantined("released", None, 10)
    assert [each.decided_reason for each in review] == ["known to us"]


def test_a_rollback_on_the_models_page_asks_first_and_returns_to_the_version_before(
    browser: Browser, site: Site
) -> None:
    store = site.application.store.retraining
    before = store.deployment("matching")
    with signed_in(browser, site) as page:
        visit(page, site, "/models?model=matching")
        assert page.inner_text("#panel-serving tbody td:nth-child(2)") == "version 2"
        page.click("#panel-serving .confirm summary")
        page.click("#panel-serving .confirm[open] button")  # without a reason nothing is sent
        assert store.deployment("matching") == before
        page.fill("#panel-serving .confirm[open] input[name=reason]", "it ranks kilns too low")
        assert not violations(page)
        page.click("#panel-serving .confirm[open] button")
        assert "The version before answers again." in page.inner_text(".banner.done")
        visit(page, site, "/models?model=matching")
        assert page.inner_text("#panel-serving tbody td:nth-child(2)") == "version 1"
        assert "it ranks kilns too low" in page.inner_text("#panel-ledger tbody tr >> nth=0")
        assert not site.complaints
    after = store.deployment("matching")
    assert (after.champion, after.previous) == (before.previous, before.champion)
    assert store.ledger("matching")[-1].reason == "it ranks kilns too low"


def numbers(page: Page, panel: str, row: str = "") -> list[dict[str, str]]:
    """The rows of a panel's table by the heads of its columns, those that begin with a word where one is given."""
    found: list[dict[str, str]] = page.evaluate(
        """(panel) => [...document.querySelectorAll(`#panel-${panel} tbody tr`)].map((row) =>
          Object.fromEntries([...row.cells].map((cell) => [cell.dataset.label, cell.textContent.trim()])))""",
        panel,
    )
    return [each for each in found if next(iter(each.values())).startswith(row)]


def rated_on(page: Page, site: Site) -> tuple[int, int, int]:
    """What Feedback and Models say: ratings of the last hours, those of the fused lists, and those of 4 or 5."""
    visit(page, site, "/feedback?range=24h")
    ratings = sum(int(row["Ratings"]) for row in numbers(page, "satisfaction"))
    visit(page, site, "/models")
    (fused,) = numbers(page, "heard", "Fused lists")
    return ratings, int(fused["Ratings"]), int(fused["4 or 5"])


def test_a_rating_of_a_match_is_found_on_feedback_and_models(browser: Browser, site: Site) -> None:
    site.application.feedback.loop.turn()  # what other tests said is judged before
    with signed_in(browser, site) as page:
        before = rated_on(page, site)
        page.click("nav >> text=Matches")
        page.fill("#material", "coal fly ash")
        page.click("text=Find receivers")
        page.select_option("#rating-1", "5")
        page.fill("#remark-1", "A very good fit for our kiln")
        page.click(".verdict .rate button >> nth=0")
        page.wait_for_selector(".verdict .told")
        assert "rated 5 of 5" in page.inner_text(".verdict .told")
        assert not violations(page)
        assert rated_on(page, site) == tuple(count + 1 for count in before)
        assert not site.complaints


def test_what_a_rating_tells_leads_to_where_it_is_counted(browser: Browser, site: Site) -> None:
    with signed_in(browser, site) as page:
        page.goto(f"{site.url}/matches?material=coal+fly+ash")
        page.click("text=Find receivers")
        page.click(".verdict >> nth=1 >> text=Accept")
        page.click(".verdict .told >> text=Models")
        page.wait_for_url("**/models#panel-heard")
        assert page.is_visible("#panel-heard")
