"""The closed product, as processes: nobody gets in by what was open before, and keys are rotated under its feet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import httpx
import jwt
import pytest

from config.staff import demo
from tests.support.api import Answer
from tests.support.people import spellings
from tests.support.product import HttpApi, Product, Running, at_once, wait_until
from tests.support.world import ON_SERVERS

pytestmark = pytest.mark.e2e

ADMIN = {"email": "root@shop.example", "password": "a long enough secret"}
ANN = {"email": "ann@example.com", "password": "correct horse battery"}


@pytest.fixture
def closed(own_product: Running) -> Iterator[Product]:
    admin = {"ECI_ADMIN_EMAIL": ADMIN["email"], "ECI_ADMIN_PASSWORD": ADMIN["password"]}
    with own_product(ECI_DEBUG="0", ECI_OPEN="0", ECI_SECURE_COOKIES="0", **admin) as product:
        assert product.api.post("/v1/users/register", ANN | {"full_name": "Ann"}).status == 201
        yield product


def log_in(api: HttpApi) -> dict[str, str]:
    answer = api.post("/v1/users/login", ANN)
    assert answer.status == 200, answer.json
    return {"Authorization": f"Bearer {answer.data['access']}", "refresh": answer.data["refresh"]}


def kid_of(login: dict[str, str]) -> str:
    return str(jwt.get_unverified_header(login["Authorization"].removeprefix("Bearer "))["kid"])


def refresh(api: HttpApi, token: str, key: str | None = None) -> Answer:
    return api.post("/v1/users/token/refresh", {"refresh": token}, key=key)


def test_closed(closed: Product) -> None:
    api = closed.api
    line = {"items": [{"product_id": 1, "quantity": 1}]}
    assert api.post("/v1/orders", line | {"customer_id": 1}).status == 401
    for email in (demo.ADDRESS, demo.USERNAME):  # the seed was made in open mode, where this opens everything
        assert api.post("/v1/staff/token", {"email": email, "password": demo.PASSWORD}).status == 401
    staff = api.post("/v1/staff/token", ADMIN)
    assert (staff.status, staff.data["roles"]) == (200, ["admin"])
    login = log_in(api)
    token = {"Authorization": login["Authorization"]}
    assert api.post("/v1/orders", line, **token).data["status"] == "SHIPPED"
    _rotation_logs_nobody_out(closed, login)
    _at_the_same_moment(api)
    _ten_wrong_passwords(api)
    _no_header_makes_it_another_shop(closed)
    _for_its_owner_alone(closed)
    _sixty_spellings(closed)


def _rotation_logs_nobody_out(closed: Product, login: dict[str, str]) -> None:
    api, token = closed.api, {"Authorization": login["Authorization"]}
    rotated = closed.manage("rotate_keys")
    assert rotated.returncode == 0, rotated.stderr
    assert Counter(at_once([lambda: api.get("/v1/users/me", **token).status] * 24, 8)) == {200: 24}
    fresh = [log_in(api) for _ in range(8)]
    assert kid_of(login) not in {kid_of(each) for each in fresh}, "every process signs with the new key at once"
    for each in fresh:
        assert api.get("/v1/users/me", Authorization=each["Authorization"]).status == 200
    assert refresh(api, login["refresh"]).status == 200
    secret = (closed.data_dir / "keys" / "signing.pem").stat()
    assert secret.st_mode & 0o777 == 0o600


def _at_the_same_moment(api: HttpApi) -> None:
    """However two uses of one refresh token meet, there is never a second chain."""
    tabs = log_in(api)["refresh"]
    answers = at_once([lambda: refresh(api, tabs, key="both tabs")] * 8, 8)
    assert {answer.status for answer in answers} == {200}
    (successor,) = {answer.data["refresh"] for answer in answers}
    assert refresh(api, successor).status == 200

    stolen = log_in(api)["refresh"]
    answers = at_once([lambda: refresh(api, stolen)] * 8, 8)
    got = [answer.data["refresh"] for answer in answers if answer.status == 200]
    assert Counter(answer.status for answer in answers) == Counter({401: 8 - len(got), 200: len(got)})
    assert len(got) <= 1
    for token in [stolen, *got]:
        assert refresh(api, token).status == 401
    wait_until(lambda: "ended one of your logins" in _mails(api), 60, "the owner is told")


def _ten_wrong_passwords(api: HttpApi) -> None:
    """Whichever processes they reach, ten are looked at and no more."""
    bob = {"email": "bob@example.com", "password": "another horse battery"}
    assert api.post("/v1/users/register", bob | {"full_name": "Bob"}).status == 201
    wrong = bob | {"password": "not that one"}
    tries = at_once([lambda: api.post("/v1/users/login", wrong).status] * 30, 8)
    assert Counter(tries) == {401: 10, 429: 20}
    refused = api.post("/v1/users/login", bob)
    assert (refused.status, refused.code) == (429, "throttled")
    assert int(refused.headers["Retry-After"]) <= 15 * 60 + 1
    log_in(api)


def _sixty_spellings(closed: Product) -> None:
    """Of an administrator's address and of nobody's, at the admin and at the token's door: ten guesses each."""
    for name in (ADMIN["email"], "nobody.is@shop.example"):
        written = spellings(name, 60)
        answers = Counter(_at_the_admin(closed, written))
        assert answers == {200: 10, 429: 50}
        token = [closed.api.post("/v1/staff/token", {"email": one, "password": "guess"}).status for one in written[:9]]
        assert token == [429] * 9, "counted together"


def _at_the_admin(closed: Product, names: list[str]) -> list[int]:
    url = f"{closed.url}/admin/login/"
    with httpx.Client(trust_env=False, timeout=60) as browser:
        browser.get(url)
        form = {"csrfmiddlewaretoken": browser.cookies["csrftoken"], "password": "guess"}
        return [
            browser.post(url, data=form | {"username": name}, headers={"Referer": url}).status_code for name in names
        ]


def _no_header_makes_it_another_shop(closed: Product) -> None:
    """A proxy blocks paths, and this machine is none: what loopback says of path, scheme and host is not believed."""
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example", "SCRIPT_NAME": "/v1", "PATH_INFO": "/x"}
    for path in ("/v1/products?limit=1", "/products"):
        plain, lied = closed.api.page(path), closed.api.page(path, **said)
        assert plain.status_code == lied.status_code
        assert "Strict-Transport-Security" not in lied.headers
        assert "evil" not in lied.text
    assert closed.api.page("/v1/products?limit=1", **said).json()["meta"]["next"].startswith(closed.url)
    assert closed.api.page("/v1/products", Host="evil.example").status_code == 400
    assert "DisallowedHost" not in closed.log.read_text()


def _for_its_owner_alone(closed: Product) -> None:
    wait_until(lambda: list(closed.data_dir.glob("mail/*")), 60, "a mail")
    found = [closed.data_dir, *closed.data_dir.rglob("*")]
    assert {path.name for path in found} >= {"orders.sqlite3", "keys", "signing.pem", "secret_key", "mail"} - (
        {"orders.sqlite3"} if ON_SERVERS else set()
    )
    modes = {str(path): path.lstat().st_mode & 0o077 for path in found if path.exists()}
    assert {path for path, mode in modes.items() if mode} == set()


def _mails(api: HttpApi) -> str:
    staff = api.post("/v1/staff/token", ADMIN).data
    return str(api.get("/v1/notifications", Authorization=f"Bearer {staff['access']}").data)
