"""The report in a real browser: it opens without an error, asks the network for nothing, and fits a phone."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fedkeeper.observe.report.page import page, story_of, write
from tests.observe.ledgers import rough_run

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: install chromium to see the report opened in one")


def browse(folder: Path, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
        "--disable-background-networking", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr",
        f"--log-net-log={folder / 'net.json'}", *options, file.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def console(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def requests(folder: Path) -> set[str]:
    """What pages asked the network for, by the browser's log of it; its own calls home (which find no host here) are no page's."""
    lines = (folder / "net.json").read_text().splitlines()
    found = {match[1] for line in lines if "cors_preflight_policy" in line and (match := re.search(r'"url":"([^"]*)"\}', line))}
    return {url for url in found if not re.match(r"https?://[^/]*\.google(apis)?\.com/(service/|time/|ListAccounts)", url)}


@pytest.fixture
def picture() -> Iterator[str]:
    """Something on the network that a page could ask for."""
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/x.png"
        server.shutdown()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    story = story_of(rough_run())
    return write(tmp_path / "report.html", page(story.view(), story))


def test_the_report_opens_without_network_and_without_errors(tmp_path: Path, report: Path) -> None:
    done = browse(tmp_path, report, "--dump-dom")
    assert done.stdout.count("<section>") == 9
    assert console(done) == []
    assert requests(tmp_path) == set()


def test_the_browser_would_tell(tmp_path: Path, report: Path, picture: str) -> None:
    """What the test above looks at shows a page that is not in order, with its policy and without."""
    bad = report.read_text().replace("<main>", f'<main><script>document.title = 1</script><img src="{picture}">')
    refused = console(browse(tmp_path, write(tmp_path / "bad.html", bad), "--dump-dom"))
    assert len(refused) >= 2
    assert all("Content Security Policy" in line for line in refused)
    assert requests(tmp_path) == set()
    browse(tmp_path, write(tmp_path / "worse.html", bad.replace("Content-Security-Policy", "x")), "--dump-dom")
    assert requests(tmp_path) == {picture}


def test_the_report_fits_a_phone(tmp_path: Path, report: Path) -> None:
    """No sideways scrolling: the page's own width is measured by the browser, through a frame as narrow as a phone."""
    frame = (
        "<iframe width=380 height=900 src=report.html onload='document.title = [this.contentDocument.body.scrollWidth]'></iframe>"
    )
    outer = write(tmp_path / "outer.html", f"<!DOCTYPE html><title>?</title>{frame}")
    done = browse(tmp_path, outer, "--dump-dom", "--allow-file-access-from-files", "--virtual-time-budget=3000")
    (width,) = re.findall(r"<title>(\d+)</title>", done.stdout)
    assert int(width) <= 380
