"""`docker run eci`, and nothing else: the whole shop, closed, on a volume."""

from __future__ import annotations

import subprocess
import time

from config.staff import demo
from tests.deployment.image.conftest import IMAGE, NewContainer, docker, image_facts, new_customer, stock
from tests.support.demo import CALLS, WORKFLOW, run
from tests.support.load import Load

ADMIN = "admin@localhost"


def test_what_is_in_the_image() -> None:
    size, config = image_facts()
    base = int(docker("image", "inspect", "--format", "{{.Size}}", "python:3.11-slim-bookworm"))
    print(f"\n{IMAGE}: {size / 1e6:.0f} MB, {(size - base) / 1e6:.0f} of them on top of its base image")
    assert (config["User"], config["StopSignal"], config["Cmd"]) == ("10001:10001", "SIGTERM", ["all"])
    looked = docker(
        *("run", "--rm", "--network=none", "--entrypoint=sh", IMAGE, "-c"),
        "id -u; ls -A /app; command -v gcc cc c++ make ld; ls /opt/venv/bin/pip; find / -xdev "
        "'(' -name .git -o -name tests -path '/app/*' -o -path '*/.cache/pip' -o -name '*.whl' -path '/opt/*' ')' "
        "2>/dev/null; true",
    )
    user, *rest = looked.split()
    assert user == "10001"
    assert set(rest) == {"__pycache__", "config", "contexts", "docker", "eci", "manage.py", "sbom.cdx.json", "static"}


def test_it_is_never_open(container: NewContainer) -> None:
    asked = container("all", ECI_OPEN="1")
    refused = subprocess.run(["docker", *asked.run], capture_output=True, text=True, timeout=120)
    assert refused.returncode == 1
    assert "ECI_OPEN lets everybody do everything" in refused.stderr


def test_a_bare_container_is_a_closed_shop_that_keeps_what_it_has(container: NewContainer) -> None:
    shop = container("all")
    began = time.monotonic()
    shop.start()
    shop.wait_until_healthy()
    print(f"\nfirst start, with every database made, until healthy: {time.monotonic() - began:.1f} s")
    api = shop.api
    assert api.post("/v1/orders", {"customer_id": 1, "items": [{"product_id": 1, "quantity": 1}]}).status == 401
    for login in (demo.USERNAME, demo.ADDRESS):
        assert api.post("/v1/staff/token", {"email": login, "password": demo.PASSWORD}).status == 401

    password = shop.execute("cat", "/data/admin_password")
    assert shop.execute("stat", "-c", "%a %u", "/data/admin_password") == "600 10001"
    assert password not in shop.logs()
    assert f"{ADMIN}, its one-time password is in /data/admin_password" in shop.logs()
    staff = shop.sign_in(ADMIN, password)

    product = stock(shop, staff, units=10)
    _, customer = new_customer(shop)
    placed = api.post("/v1/orders", {"items": [{"product_id": product, "quantity": 2}]}, key="first", **customer)
    assert (placed.status, placed.data["status"]) == (201, "SHIPPED")

    shop.stop()
    began = time.monotonic()
    shop.start_again()
    print(f"every other start: {time.monotonic() - began:.1f} s")
    order = placed.data["order_id"]
    assert api.get(f"/v1/orders/{order}", **customer).data["status"] == "SHIPPED", "the login outlives it, too"
    assert [one["order_id"] for one in api.get("/v1/orders", **shop.sign_in(ADMIN, password)).data] == [order]

    token = shop.sign_in(ADMIN, password)["Authorization"].removeprefix("Bearer ")
    for script, more in ((WORKFLOW, ["--skip-expiry"]), (CALLS, [])):
        assert "🎉" in run(script, "--base-url", shop.url, *more, environment={"ECI_TOKEN": token}).stdout
    assert "agree" in shop.execute("python", "manage.py", "audit")


def test_docker_stop_under_load_loses_nothing(container: NewContainer) -> None:
    shop = container("all")
    shop.start()
    shop.wait_until_healthy()
    staff = shop.sign_in(ADMIN, shop.execute("cat", "/data/admin_password"))
    product = stock(shop, staff, units=100_000)
    customer, _ = new_customer(shop)
    order = {"customer_id": customer, "items": [{"product_id": product, "quantity": 1}]}
    with Load([shop.url], order, **staff) as load:
        load.more(200)
        shop.stop()
    assert set(load.outcomes) <= {"201", "ConnectError"}, load.outcomes

    shop.start_again()
    staff = shop.sign_in(ADMIN, shop.execute("cat", "/data/admin_password"))
    for key in load.unanswered:
        again = [shop.api.post("/v1/orders", order, key=key, **staff) for _ in range(2)]
        assert [answer.status for answer in again] == [201, 201]
        assert again[0].data["order_id"] == again[1].data["order_id"]
        load.placed[key] = again[0].data["order_id"]
    orders = {one["order_id"]: one["status"] for one in shop.api.everything("/v1/orders", **staff)}
    assert orders == dict.fromkeys(load.placed.values(), "SHIPPED")
    on_hand = shop.api.get(f"/v1/inventory/availability/{product}").data["total_on_hand"]
    assert on_hand == 100_000 - len(orders)
    assert "agree" in shop.execute("python", "manage.py", "audit")
    print(f"\n{len(load.placed)} orders; {len(load.unanswered)} were refused while it was away, and sent again")
