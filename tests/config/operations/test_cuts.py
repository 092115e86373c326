"""How a shop is cut into deployments, and what each is told."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import NoReturn

import pytest
from django.core.management import CommandError, call_command

from config.contexts import CONTEXTS, places
from config.operations import cuts
from eci.identity import keys

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


def names(text: str) -> dict[str, tuple[str, ...]]:
    return {deployment.name: deployment.contexts for deployment in cuts.cut(text)}


def test_one_for_each_context_or_those_named_and_the_rest() -> None:
    assert names("") == names(" ") == {name: (name,) for name in CONTEXTS}
    rest = tuple(name for name in CONTEXTS if name != "orders")
    assert names("orders") == {"orders": ("orders",), "rest": rest}
    cut = names(" orders, inventory+payments ")
    assert cut["inventory-payments"] == ("inventory", "payments")
    assert cut["rest"] == ("catalog", "customers", "shipping", "notifications")
    assert names("+".join(CONTEXTS)) == {"-".join(CONTEXTS): tuple(CONTEXTS)}


@pytest.mark.parametrize(
    ("text", "told"), [("stock", "there is no context 'stock'"), ("orders,orders+payments", "orders is named twice")]
)
def test_a_cut_that_cannot_be_is_refused_in_words(text: str, told: str) -> None:
    with pytest.raises(cuts.NoSuchCut, match=told):
        cuts.cut(text)


def test_a_deployment_answers_on_the_ports_of_all_its_contexts() -> None:
    (deployment,) = [one for one in cuts.cut("inventory+payments") if one.name != "rest"]
    assert deployment.ports(0) == [3002, 8083, 8002, 8084]
    assert deployment.ports(10_000) == [13002, 18083, 18002, 18084]


def test_each_knows_the_others_by_url_and_key(tmp_path: Path) -> None:
    deployments = cuts.cut("orders")
    found = cuts.environments(deployments, tmp_path, offset=1)
    where = places(found["orders"]["ECI_SERVICES"])
    assert where["orders"] == "local" and where["catalog"] == "http://127.0.0.1:3001"
    assert places(found["rest"]["ECI_SERVICES"]) == dict.fromkeys(CONTEXTS, "local") | {
        "orders": "http://127.0.0.1:8001"
    }
    for name, environment in found.items():
        own = keys.read_private(Path(environment["ECI_SERVICE_KEY_FILE"]).read_bytes())
        known = (Path(environment["ECI_SERVICE_CALLERS_DIR"]) / f"{name}.pem").read_bytes()
        assert keys.public_pem(own.public_key()) == known
    private = Path(found["orders"]["ECI_SERVICE_KEY_FILE"])
    before = private.read_bytes()
    cuts.environments(cuts.cut("orders,payments"), tmp_path, offset=1)
    assert private.read_bytes() == before, "a key lasts"
    callers = tmp_path / "services" / "callers"
    cuts.environments(cuts.cut("payments"), tmp_path, offset=1)
    assert {file.stem for file in callers.iterdir()} == {"payments", "rest"}, "who is no part of the cut may not call"


def test_who_waits_for_a_cut_and_gives_up_is_told_what_becomes_of_it(
    tmp_path: Path, settings: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_DIR = tmp_path  # type: ignore[attr-defined]
    told: list[int] = []
    folder = tmp_path / "services"
    folder.mkdir()
    cuts.State(pid=os.getpid(), turn=0, cut="", failed="").write(folder)

    def ctrl_c(seconds: float) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(cuts.RECUT, lambda number, frame: told.append(number))
    monkeypatch.setattr(time, "sleep", ctrl_c)
    try:
        with pytest.raises(CommandError, match="the services go on with this cut") as ended:
            call_command("recut", "orders")
    finally:
        signal.signal(cuts.RECUT, before)
    assert (ended.value.returncode, told, cuts.wanted(folder)) == (130, [cuts.RECUT], "orders")


def test_one_shop_runs_on_a_data_folder(tmp_path: Path) -> None:
    with cuts.only_one(tmp_path) as first:
        another = os.fork()
        if not another:
            with cuts.only_one(tmp_path) as second:
                os._exit(int(second))
        assert first and os.waitpid(another, 0)[1] == 0, "one that this process has begun does not hold the lock"
    with cuts.only_one(tmp_path) as again:
        assert again
