"""The page in headless Chromium: keys change the picture, reset works, a second tab is refused."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

from tests.jaxrl.jedi import small_run, untrained_run

pytestmark = pytest.mark.slow
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if CHROMIUM is None or DRIVER is None:
    pytest.skip("needs Chromium and its driver", allow_module_level=True)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page of an untrained run."""
    run = untrained_run.write(tmp_path_factory.mktemp("browser") / "run", small_run.CONFIG)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jaxrl.jedi", "play", "--run-dir", str(run)]
    process = subprocess.Popen(
        [*command, "--port", str(port)], env=os.environ, stdout=subprocess.DEVNULL
    )
    ends = time.monotonic() + 280  # the first start compiles
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < ends, "the server never answered"
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield browser
    browser.quit()


def text(browser, name):
    return browser.find_element("id", name).text


def wait(browser, good, seconds=90):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, seconds, poll_frequency=0.05).until(lambda _: good())


def test_the_page(browser, address):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.get(address)
    wait(browser, lambda: text(browser, "step") not in ("", "0"))
    dream = browser.find_element("id", "dream")

    seen = {dream.get_attribute("src")}
    ActionChains(browser).key_down(Keys.ARROW_LEFT).perform()
    wait(browser, lambda: text(browser, "action") == "left")
    seen.add(dream.get_attribute("src"))
    ActionChains(browser).key_up(Keys.ARROW_LEFT).key_down(Keys.ARROW_RIGHT).perform()
    wait(browser, lambda: text(browser, "action") == "right")
    seen.add(dream.get_attribute("src"))
    ActionChains(browser).key_up(Keys.ARROW_RIGHT).perform()
    assert len(seen) > 1, "the picture never changed"

    wait(browser, lambda: int(text(browser, "step")) > 10)
    before = int(text(browser, "step"))
    browser.find_element("id", "reset").click()
    wait(browser, lambda: int(text(browser, "step")) < before)

    browser.find_element("id", "withreal").click()
    wait(browser, lambda: browser.find_element("id", "real").is_displayed())

    browser.find_element("id", "policy").click()
    wait(
        browser,
        lambda: browser.find_element("id", "policy").get_attribute("aria-pressed") == "true",
    )
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    browser.get(address)
    wait(browser, lambda: text(browser, "title") == "The session is taken")
    browser.close()
    browser.switch_to.window(first)
    assert float(text(browser, "fps")) > 1
