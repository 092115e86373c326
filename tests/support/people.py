"""Customers, staff and a thief, as they come to a closed shop."""

from __future__ import annotations

import random
from typing import Any

from django.contrib.auth.models import Group, User

from config.staff import groups
from tests.support.api import Answer, Api
from tests.support.pages import Browser

PASSWORD = "correct horse battery"
GROUPS = {"K": "catalog staff", "S": "stock staff", "P": "support staff", "V": "services"}


class Person(Api):
    """A client that sends an access token with everything."""

    def __init__(self, login: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.login = login or {}

    @property
    def customer_id(self) -> int:
        return int(self.login["customer_id"])

    def send(self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> Answer:
        if "access" in self.login:
            headers.setdefault("Authorization", f"Bearer {self.login['access']}")
        return super().send(method, path, body, key=key, **headers)


def register(email: str, **more: Any) -> int:
    answer = Api().post("/v1/users/register", {"email": email, "full_name": "Some One", "password": PASSWORD} | more)
    assert answer.status == 201, answer.json
    return int(answer.data["customer_id"])


def log_in(email: str, password: str = PASSWORD) -> Answer:
    return Api().post("/v1/users/login", {"email": email, "password": password})


def customer(email: str, **more: Any) -> Person:
    register(email, **more)
    return Person(log_in(email).data)


def staff(role: str, email: str | None = None) -> Person:
    """A member of staff, or a service, with the one role."""
    email = email or f"{role}@shop.example".lower()
    user = User(username=email, email=email, is_staff=True, is_superuser=role == "admin")
    user.set_password(PASSWORD)
    user.save()
    if role != "admin":
        user.groups.add(Group.objects.get_or_create(name=GROUPS[role])[0])
    answer = Api().post("/v1/staff/token", {"email": email, "password": PASSWORD})
    assert answer.status == 200, answer.json
    return Person(answer.data)


def member(group: str) -> Browser:
    """The browser of a member of this group, which has what the start-up step gives it."""
    groups.make_groups()
    user = User.objects.create_user(f"{group}@example.com".replace(" ", "."), password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    browser = Browser()
    browser.force_login(user)
    return browser


def refresh(token: str, key: str | None = None) -> Answer:
    return Api().post("/v1/users/token/refresh", {"refresh": token}, key=key)


_LOOKS = {"i": "\u0131\u0130", "k": "\u212a", "s": "\u017f"}


def spellings(name: str, many: int) -> list[str]:
    """Texts that databases, Unicode or browsers may take for this name: case, width, \u017f and \u0131, white space."""
    chance = random.Random(1)
    found = {name: True}
    while len(found) < many:
        letters = [
            chance.choice([*letter * 4, letter.upper(), _wide(letter), *_LOOKS.get(letter, "")]) for letter in name
        ]
        space = chance.choice(["", " ", "\u00a0", "\u3000"])
        found[f"{space}{''.join(letters)}{chance.choice(['', ' ', '  '])}"] = True
    return list(found)


def _wide(letter: str) -> str:
    return chr(ord(letter) + 0xFEE0) if letter.isalnum() else letter
