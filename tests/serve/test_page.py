"""The chat page in a real browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Start
from playwright.sync_api import Page, expect, sync_playwright
from server_process import ServedJob, ServerProcess


@pytest.fixture
def page() -> Iterator[Page]:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "a browser is needed: make set-up-browser"
    with sync_playwright() as playwright:
        # Its own sandbox needs a user namespace, which root in a container has not.
        started = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = started.new_page(viewport={"width": 1100, "height": 640})
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield page
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(folder) / "chat.png")
        started.close()
    assert not wrong


def column(page: Page, model: str) -> str:
    return f"section[data-model={model}] li"


def test_base_and_adapters_answer_side_by_side(server: ServerProcess, page: Page) -> None:
    page.goto(server.url)
    page.get_by_label("travel").check()
    page.get_by_label("endless").uncheck()
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("Tokens at most").fill("6")
    page.get_by_label("Your message").fill("<b>Where</b> to?")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(column(page, "travel"))).to_have_text(["<b>Where</b> to?", "Rome!"])
    expect(page.locator(column(page, "base"))).to_have_count(2)
    expect(page.locator("section[data-model=travel] h2 small")).to_contain_text("tokens")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    page.get_by_label("Your message").fill("And then?")
    page.keyboard.press("Enter")
    expect(page.locator(column(page, "travel"))).to_have_count(4)


def test_an_answer_can_be_stopped(server: ServerProcess, page: Page) -> None:
    page.goto(server.url)
    page.get_by_label("endless").check()
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("Tokens at most").fill("400000")
    page.get_by_label("Your message").fill("a")
    page.keyboard.press("Enter")
    expect(page.locator(column(page, "endless")).last).to_contain_text("ab")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    page.get_by_role("button", name="New chat").click()
    expect(page.locator(column(page, "endless"))).to_have_count(0)


def test_what_goes_wrong_is_told(job: ServedJob, start: Start, page: Page, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "one").write_text("sk-one")
    job.serve(travel="Rome!")
    server = start("--api-keys", str(tmp_path / "keys"))
    page.goto(server.url)
    expect(page.get_by_role("alert")).to_contain_text("Give a valid API key")
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("API key").fill("sk-one")
    page.get_by_label("API key").blur()
    expect(page.get_by_role("alert")).to_be_hidden()
    page.get_by_label("Temperature").fill("9")
    page.get_by_label("Your message").fill("a")
    page.keyboard.press("Enter")
    expect(page.locator(column(page, "travel")).last).to_contain_text("temperature")


def test_the_page_can_be_left_out(job: ServedJob, start: Start) -> None:
    job.serve()
    assert start("--no-page").http.get("/").status_code == 404


def test_the_page_may_load_nothing_from_elsewhere(server: ServerProcess) -> None:
    for path in ("/", "/chat.js", "/chat.css"):
        answer = server.http.get(path)
        assert answer.status_code == 200
        assert "default-src 'self'" in answer.headers["content-security-policy"]
