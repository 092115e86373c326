#!/usr/bin/env python3
"""Makes demo/screenshots: what the segments of demo-script.sh show, and an order in a browser (`make screenshots`).

It needs Chromium and, on Debian, fonts-noto-color-emoji.
"""

from __future__ import annotations

import argparse
import html
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from shop import Failed, Shop, addresses, run

FOLDER = Path(__file__).resolve().parent / "screenshots"
SEGMENTS = ("introduction", "containers", "communication", "databases", "kubernetes", "monitoring", "closing")
WIDTH, HEIGHT, LINES = 1100, 620, 32
TERMINAL = """<!doctype html><meta charset="utf-8"><style>
body { margin: 0; padding: 14px; background: #16181d; color: #d7dae0; font: 13px/17px "DejaVu Sans Mono", monospace; }
pre { margin: 0; white-space: pre-wrap; font: inherit } b { color: #fff } i { color: #5fd7d7; font-style: normal }
</style><pre>%s</pre>"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", default="http://127.0.0.1:8000", help="an open shop, as make run starts it")
    parser.add_argument("--data-dir", default="var", help="its data")
    options = parser.parse_args()
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise Failed("Chromium is needed: on Debian, apt-get install -y chromium fonts-noto-color-emoji.")
    at = addresses(options.base_url, "")["catalog"]
    Shop({"catalog": at}).health("catalog")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        for number, segment in enumerate(SEGMENTS, 1):
            page = Path(work, f"{segment}.html")
            page.write_text(TERMINAL % shown(segment, at, options.data_dir))
            take(browser, page.as_uri(), f"{number}-{segment}", work)
        take(browser, f"{at}/v1/orders?limit=1", "8-orders-in-a-browser", work)


def shown(segment: str, at: str, data_dir: str) -> str:
    """The segment's output as a terminal has it: its end, where it is longer than a screen."""
    command = [FOLDER.parent / "demo-script.sh", "--yes", "--only", segment, "--base-url", at, "--data-dir", data_dir]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"The segment {segment} failed: {(done.stdout + done.stderr).strip().splitlines()[-1]}")
    text = html.escape(done.stdout.strip())
    text = re.sub(r"\x1b\[1m(.*?)\x1b\[0m", r"<b>\1</b>", text)
    text = re.sub(r"\x1b\[36m(.*?)\x1b\[0m", r"<i>\1</i>", text)
    lines = text.splitlines()
    return "\n".join(lines if len(lines) <= LINES else [lines[0], "…", *lines[-LINES:]])


def take(browser: str, url: str, name: str, work: str) -> None:
    picture = FOLDER / f"{name}.png"
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={work}/profile",
        "--force-device-scale-factor=1", f"--window-size={WIDTH},{HEIGHT}", "--timeout=8000",
        f"--screenshot={picture}", url,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode or not picture.exists():
        raise Failed(f"Chromium has made no picture of {url}: {done.stderr.strip().splitlines()[-1:]}")
    print(f"{picture.relative_to(FOLDER.parent.parent)}  {picture.stat().st_size // 1024} kB")


if __name__ == "__main__":
    run(main)
