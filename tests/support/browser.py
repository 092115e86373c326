"""Staff at a screen: real Chromium, driven as a person would, with a count of clicks and an ear for the console."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from tests.support.tasks import TASKS

PASSWORD = "a long enough secret"
WIDE = {"width": 1366, "height": 850}
PHONE = {"width": 390, "height": 844}
MAX_TABS = 60  # until something is reached, where no test says less
PATIENCE = 60_000  # milliseconds: a machine that does other things too
expect.set_options(timeout=PATIENCE)
CONTRAST = "color-contrast"
# Contrast is asked of texts of a new look alone: it takes axe longer than all other rules together.
_AXE = f"""{resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()}
axe.configure({{ rules: [{{ id: "{CONTRAST}", selector: "[data-new-look]" }}] }});"""
_SETTLED = """
  const changing = document.getAnimations().filter((one) => one instanceof CSSTransition);
  await Promise.allSettled(changing.map((one) => one.finished));
"""
# Of a rule that is never more than moderate nothing would be told: it is not asked.
_RUN_AXE = """async ([looks, only]) => {
  document.querySelectorAll("[data-new-look]").forEach((one) => one.removeAttribute("data-new-look"));
  looks.flatMap((look) => textsOf.get(look)).forEach((one) => one.setAttribute("data-new-look", ""));
  const slight = axe._audit.rules.filter((one) => ["minor", "moderate"].includes(one.impact)).map((one) => one.id);
  const rules = Object.fromEntries(slight.map((one) => [one, { enabled: false }]));
  const chosen = only ? { runOnly: { type: "rule", values: [only] } } : { rules };
  const found = await axe.run(document, { resultTypes: ["violations"], ...chosen });
  return found.violations.filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ")}`);
}"""
# All that contrast depends on, for each text: its own colour and size, and what lies behind it.
_LOOKS = f"""async () => {{{_SETTLED}
  globalThis.textsOf = new Map();
  for (const one of document.body.querySelectorAll("*")) {{
    const own = [...one.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
    const text = own.map((node) => node.data).join("").trim();
    const {{ width, height }} = one.getBoundingClientRect();
    const isShown = width > 1 && height > 1 && one.checkVisibility({{ visibilityProperty: true }});
    if (!isShown || !(text || one.matches("input, select, textarea"))) continue;
    const {{ color, fontSize, fontWeight, textShadow }} = getComputedStyle(one);
    const hint = one.placeholder ? getComputedStyle(one, "::placeholder").color : "";
    const look = [color, fontSize, fontWeight, textShadow, hint, text.length > 1, one.closest(":disabled") !== null];
    for (let each = one; each; each = each.parentElement) {{
      const {{ backgroundColor, backgroundImage, opacity }} = getComputedStyle(each);
      const behind = `${{backgroundColor}} ${{backgroundImage}} ${{opacity}}`;
      if (behind !== "rgba(0, 0, 0, 0) none 1") look.push(behind);
    }}
    const key = look.join(", ");
    if (!textsOf.has(key)) textsOf.set(key, []);
    textsOf.get(key).push(one);
  }}
  return [...textsOf.keys()];
}}"""

# Of each table the first rows stand for all, but where its width is the question.
_SHORTEN = """globalThis.cut = [...document.querySelectorAll("tbody")].map((one) => [one, [...one.rows].slice(4)]);
cut.forEach(([, rows]) => rows.forEach((row) => row.remove()))"""
_LENGTHEN = "cut.forEach(([table, rows]) => table.append(...rows))"
_seen: set[str] = set()  # looks, by whomever


class Person:
    """``email`` logs in at ``url``. ``told``: what the console said that nobody provoked.

    ``clicks`` counts each press of the mouse, each choice from a list, and each Enter that sends something.
    """

    def __init__(self, browser: Browser, url: str, email: str = "", *, scheme: Any = "light", size: Any = None) -> None:
        self.email = email
        self.url = url
        self.scheme = scheme
        self.context = browser.new_context(base_url=url, viewport=size or WIDE, color_scheme=scheme)
        self.context.set_default_timeout(PATIENCE)
        self.told: list[str] = []
        self.context.on("console", self._heard)
        self.context.on("weberror", lambda error: self.told.append(f"{self.page.url}: {error.error}"))
        self.page: Page = self.context.new_page()
        self.clicks = 0
        self.keys_only = False
        self.refusals_expected = False
        self.examined = False

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning") or self.examined:
            return
        refused = re.match(r"Failed to load resource: .* status of 40[0345]", message.text)
        if refused and self.refusals_expected and not message.location["url"].startswith(f"{self.url}/static/"):
            return  # the page itself, which the test asked for
        self.told.append(f"{self.page.url}: {message.text}")

    def close(self) -> None:
        self.context.close()

    # -- what a person does -------------------------------------------------------------------------------------------

    def log_in(self) -> None:
        self.page.goto("/admin/login/")
        self.type(self.email)
        self.press("Tab")
        self.type(PASSWORD)
        self.enter()
        self.page.wait_for_url("**/admin/")

    def have_logged_in(self) -> None:
        """As if somebody had logged in before: with the cookies of that, and no page open."""
        told = self.context.request
        told.get("/admin/login/")
        token = next(one["value"] for one in self.context.cookies() if one["name"] == "csrftoken")
        form = {"username": self.email, "password": PASSWORD, "csrfmiddlewaretoken": token}
        answer = told.post("/admin/login/", form=form, headers={"Referer": self.url}, max_redirects=0)
        assert answer.status == 302, answer.text()

    @contextmanager
    def task(self, number: int, *, keys_only: bool = False) -> Iterator[None]:
        """One of TASKS, done from the front page on with no more clicks than it may take, or with keys alone."""
        what, clicks = TASKS[number]
        self.page.goto("/admin/")
        self.clicks, self.keys_only = 0, keys_only
        yield
        assert self.clicks <= clicks, f"{what}: it took {self.clicks} clicks"
        self.keys_only = False

    def click(self, what: Locator) -> None:
        assert not self.keys_only, "only keys"
        self.clicks += 1
        what.click()

    def send(self, what: Locator) -> None:
        """Click on what leads to another page, and wait for that: it may say what this one has said already."""
        with self.page.expect_navigation():
            self.click(what)

    def choose(self, label: str, option: str) -> None:
        self.clicks += 1
        self.field(label).select_option(option)

    def tick(self, what: Locator) -> None:
        assert not self.keys_only, "only keys"
        self.clicks += 1
        what.check()

    def write(self, label: str, text: str) -> None:
        """Into a field, which a person reaches by Tab: no click."""
        self.field(label).fill(text)

    def type(self, text: str) -> None:
        """Where the focus is, once the page has put it somewhere."""
        expect(self.page.locator(":focus")).to_have_count(1)
        self.page.keyboard.type(text)

    def overtype(self, text: str) -> None:
        """In the place of what stands in the field that has the focus."""
        expect(self.page.locator(":focus")).to_have_count(1)
        self.press("Control+a")
        self.type(text)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def enter(self) -> None:
        """Send the form, or follow the link, that has the focus."""
        self.clicks += 1
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def scan(self, code: str) -> None:
        """As a scanner does: the code and Enter, into the page as it is."""
        self.clicks += 1
        self.type(code)
        self.page.keyboard.press("Enter")

    def tab_to(self, what: Locator, *, most: int = MAX_TABS) -> int:
        """How many Tabs it takes from where the focus is; it is reached, or this fails."""
        for taken in range(most + 1):
            if what.evaluate("one => one === document.activeElement"):
                return taken
            self.page.keyboard.press("Tab")
        raise AssertionError(f"not reached by {most} Tabs: {what}")

    def go(self, text: str) -> None:
        """By the box on every page."""
        self.press("/")
        self.type(text)
        self.enter()

    # -- what a person sees -------------------------------------------------------------------------------------------

    @property
    def menu(self) -> Locator:
        return self.page.get_by_role("navigation", name="Desks")

    @property
    def main(self) -> Locator:
        return self.page.get_by_role("main")

    def open(self, name: str) -> None:
        """A page of the menu."""
        self.send(self.menu.get_by_role("link", name=re.compile(rf"^{re.escape(name)}( \d+)?$")))

    def link(self, name: str | re.Pattern[str]) -> Locator:
        return self.main.get_by_role("link", name=name, exact=True).first

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.main.get_by_role("button", name=name, exact=True).first

    def field(self, label: str) -> Locator:
        return self.main.get_by_label(re.compile(rf"^\s*{re.escape(label)}")).first

    def row(self, *words: str) -> Locator:
        """The row of a table that has these words."""
        found = self.main.get_by_role("row")
        for word in words:
            found = found.filter(has_text=word)
        return found.first

    def sees(self, *texts: str | re.Pattern[str]) -> None:
        for text in texts:
            expect(self.main.or_(self.page.locator("body")).first).to_contain_text(text)

    def sees_no(self, text: str) -> None:
        expect(self.page.locator("body")).not_to_contain_text(text)

    def links(self) -> list[str]:
        """Where the page's links lead to, on this site."""
        found = self.page.eval_on_selector_all("a[href]", "links => links.map((one) => one.href.split('#')[0])")
        return [one.removeprefix(self.url) for one in found if one.startswith(f"{self.url}/")]

    def overflow(self) -> int:
        """By how many pixels the page is wider than the screen."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    def flaws(self) -> list[str]:
        """Barriers of the page, light and dark, and whether a phone is too narrow for it.

        It is loaded once, and the next page as this one ends: it costs most to paint one anew, dark or narrow.
        """
        found: list[str] = []
        is_narrow = self.page.viewport_size == PHONE
        if is_narrow:
            found += self._too_wide()
            self.page.set_viewport_size(WIDE)  # type: ignore[arg-type]
        self.page.evaluate(_SHORTEN)
        for scheme in sorted(("dark", "light"), key=lambda one: one != self.scheme):
            found += [f"{scheme}: {one}" for one in self._barriers(scheme)]
        if not is_narrow:
            self.page.evaluate(_LENGTHEN)
            self.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
            found += self._too_wide()
        return [f"{self.page.url}: {one}" for one in found]

    def _too_wide(self) -> list[str]:
        return ["wider than a phone"] if self.overflow() > 0 else []

    def _barriers(self, scheme: str) -> list[str]:
        """What axe finds serious or critical on the page; in the dark, of contrast alone."""
        if scheme != self.scheme:
            self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            self.scheme = scheme
        new = set(self.page.evaluate(_LOOKS)) - _seen
        _seen.update(new)
        if scheme == "dark" and not new:
            return []
        self.examined = True  # the policy forbids styles that axe tries out
        if not self.page.evaluate("'axe' in globalThis"):
            self.page.evaluate(_AXE)
            self.context.add_init_script(_AXE)  # the next pages have it from the start: it is compiled once
        found: list[str] = self.page.evaluate(_RUN_AXE, [sorted(new), CONTRAST if scheme == "dark" else ""])
        self.examined = False
        return found
