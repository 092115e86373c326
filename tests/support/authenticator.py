"""An authenticator app: it keeps the key that a page showed, and makes codes of it."""

from __future__ import annotations

import base64
import re
import time

from django_otp.oath import TOTP


class Authenticator:
    """Each call of ``code`` gives the code of the next half minute, which has not been used yet.

    The product takes codes that are half a minute early, and remembers how far a phone's clock is ahead.
    """

    def __init__(self, page: str) -> None:
        [shown] = re.findall(r"<code>([A-Z2-7 ]+)</code>", page)
        self._key = base64.b32decode(shown.replace(" ", ""))
        self._last = int(time.time()) // 30 - 1
        self.shown: list[str] = []

    def code(self) -> str:
        self._last = max(self._last + 1, int(time.time()) // 30)
        clock = TOTP(self._key)
        clock.time = self._last * 30
        self.shown.append(f"{clock.token():06}")
        return self.shown[-1]


def recovery_codes(page: str) -> list[str]:
    return re.findall(r'<code class="recovery">([a-z2-7-]+)</code>', page)
