"""The built site, once for all tests, and a browser on a local server where there is one."""

import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("mkdocs", reason="the extra `site` is not installed")
pytest.importorskip("material", reason="the extra `site` is not installed")


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """The folder of a freshly built site."""
    from flowrl_kb.site_command import build

    folder = tmp_path_factory.mktemp("site") / "out"
    build(folder)
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def address(root):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=root))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found:
        pytest.skip("no Chromium on PATH; install it or set CHROMIUM to its executable")
    with playwright.sync_playwright() as play:
        running = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def visit(browser, address):
    """Open a page; `visit.trouble` collects console errors, exceptions, failed and external requests."""
    contexts = []

    def failed(request):
        # Leaving a page cancels what it was still loading, such as its icon.
        if "ERR_ABORTED" not in (request.failure or ""):
            open_page.trouble.append(f"failed {request.url}")

    def open_page(path, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: open_page.trouble.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: open_page.trouble.append(str(e)))
        page.on("requestfailed", failed)
        page.on(
            "request",
            lambda r: None if r.url.startswith((address, "data:")) else open_page.trouble.append(r.url),
        )
        page.goto(address + path)
        return page

    open_page.trouble = []
    yield open_page
    for context in contexts:
        context.close()
