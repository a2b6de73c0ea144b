"""A visitor with a real browser, and a phone that reads QR codes from its screen."""

from __future__ import annotations

import shutil
from io import BytesIO
from typing import TYPE_CHECKING, Any

import zbar
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.support.sandbox import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from selenium.webdriver.remote.webelement import WebElement

    from tests.support.page import Shown

QUIET = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--no-proxy-server",
]  # fmt: skip
AXE = ".venv/lib/python3*/site-packages/axe_core_python/axe.min.js"
PAGE_SECONDS = 60


class Browser:
    """One browser window of `width` by `height` CSS pixels."""

    def __init__(self, profile: Path, *, width: int = 1000, height: int = 1200, dark: bool = False,
                 scripts: bool = True, scale: int = 2) -> None:  # fmt: skip
        options = webdriver.ChromeOptions()
        for argument in (*QUIET, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(argument)
        if not scripts:
            options.add_experimental_option(
                "prefs", {"profile.managed_default_content_settings.javascript": 2}
            )
        options.accept_insecure_certs = True
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.profile = profile
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.set_page_load_timeout(PAGE_SECONDS)
        self.resize(width, height, dark=dark, scale=scale)

    def resize(self, width: int, height: int, *, dark: bool = False, scale: int = 2) -> None:
        """Give the window another size, in CSS pixels, and a colour scheme."""
        self._command("Emulation.setDeviceMetricsOverride",
                      width=width, height=height, deviceScaleFactor=scale, mobile=width < 600)  # fmt: skip
        scheme = "dark" if dark else "light"
        self._command("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": scheme}])  # fmt: skip

    def _command(self, name: str, **values: object) -> dict[str, object]:
        done: dict[str, object] = self.driver.execute_cdp_cmd(name, values)
        return done

    def visit(self, shown: Shown, *, known: bool = True) -> None:
        """Open a prompt's page, with its user name and password unless not `known`."""
        login = f"{shown.user_name}:{shown.password}@" if shown.user_name and known else ""
        self.driver.get(shown.url.replace("://", f"://{login}"))

    def find(self, selector: str) -> WebElement:
        """Return the first element that a CSS selector finds."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self) -> str:
        """Return all text that is to be seen."""
        return self.find("body").text

    def read_out(self) -> str:
        """Return all text that a screen reader gets, what a style sheet adds among it."""
        tree: Any = self._command("Accessibility.getFullAXTree")
        nodes = [node for node in tree["nodes"] if node["role"]["value"] == "StaticText"]
        return "\n".join(node["name"]["value"] for node in nodes)

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Return an element's left, top, right and bottom edge in the window, in CSS pixels."""
        script = "const b = document.querySelector(arguments[0]).getBoundingClientRect();"
        edges: Any = self.run(f"{script} return [b.left, b.top, b.right, b.bottom]", selector)
        return tuple(edges)

    def run(self, script: str, *arguments: object) -> object:
        """Run a script and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def screenshot(self, path: Path | None = None, *, whole: bool = True) -> Image.Image:
        """Take a picture of the whole page, or of what is in the window."""
        import base64

        taken = self._command("Page.captureScreenshot", captureBeyondViewport=whole)
        data = base64.b64decode(str(taken["data"]))
        if path:
            path.write_bytes(data)
        return Image.open(BytesIO(data))

    def scan(self, *, whole: bool = True) -> str:
        """Read the QR code from a screenshot, as a phone does; "" if there is none."""
        picture = self.screenshot(whole=whole).convert("L")
        image = zbar.Image(*picture.size, "Y800", picture.tobytes())
        zbar.ImageScanner().scan(image)
        return next((symbol.data for symbol in image), "")

    def violations(self) -> list[str]:
        """Return what axe-core finds wrong with the page's accessibility."""
        (path,) = PROJECT.glob(AXE)
        # By the debugger's way in: the page's own policy allows no foreign script.
        self._command("Runtime.evaluate", expression=path.read_text(encoding="utf-8"))
        audit = "axe.run().then(r => JSON.stringify(r.violations.map(v => v.id + ': ' + v.help)))"
        import json

        result = self._command("Runtime.evaluate", expression=audit, awaitPromise=True)["result"]
        found: list[str] = json.loads(result["value"])  # type: ignore[index]
        return found

    def complaints(self) -> list[str]:
        """Return what the browser's console says: refused by the policy, not found, ..."""
        said: list[str] = [entry["message"] for entry in self.driver.get_log("browser")]
        return [text for text in said if not text.startswith("chrome://")]

    def close(self) -> None:
        """End the browser."""
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)
