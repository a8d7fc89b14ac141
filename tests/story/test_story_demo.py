"""The first minute, as a newcomer has it: `demo`, the curl line, the handset, a reply, and the next day."""

import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from story_program import Program, running, until


@pytest.fixture(scope="module")
def demo() -> Iterator[Program]:
    with running("demo") as program:
        yield program


@pytest.fixture
def handset(demo: Program) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
        )
        page = browser.new_page()
        page.goto(demo.ready["handset_url"])
        expect(page.locator("#ligacao")).to_have_text("simulador ligado")
        yield page
        browser.close()


def test_the_curl_line_arrives_is_delivered_and_its_reply_is_in_the_inbox(
    demo: Program, handset: Page
) -> None:
    line = handset.locator("#curl").inner_text()
    sent = subprocess.run(line, shell=True, capture_output=True, text=True, check=True).stdout
    assert '"status":200' in sent
    conversation = handset.locator("#conversa")
    expect(conversation).to_contain_text("Ola do Pombo!")
    expect(conversation).to_contain_text("entregue", timeout=5000)
    handset.locator("#texto").fill("SIM, recebi")
    handset.locator("#texto").press("Enter")
    expect(conversation).to_contain_text("SIM, recebi")

    inbox = f"curl -s -G {demo.ready['url']}/api/mo.php -d token={demo.ready['token']} -d todas=1"

    def replied() -> str:
        answer = subprocess.run(inbox, shell=True, capture_output=True, text=True, check=True).stdout
        return answer if '"mo_id"' in answer else ""

    assert '"mensagem":"SIM, recebi"' in until(replied, what="the reply in mo.php")


def test_the_next_start_finds_tokens_messages_and_replies(demo: Program) -> None:
    before = demo.ready
    demo.stop()
    demo.start()
    assert {key: demo.ready[key] for key in ("token", "second_token")} == {
        key: before[key] for key in ("token", "second_token")
    }
    inbox = f"curl -s -G {demo.ready['url']}/api/mo.php -d token={demo.ready['token']} -d todas=1"
    answer = subprocess.run(inbox, shell=True, capture_output=True, text=True, check=True).stdout
    assert '"mensagem":"SIM, recebi"' in answer
