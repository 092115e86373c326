"""Backups that are kept: encrypted, in a folder and in a bucket, old ones deleted, and the way back from them alone."""

from __future__ import annotations

import io
import logging
import os
import re
import tarfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from config.operations import archives, keeping
from config.operations.checks import backup_folder, backup_settings, backups_are_not_encrypted
from config.operations.models import Backup
from config.operations.snapshots import Failed
from eci.clock import utcnow
from tests.support import bucket as s3
from tests.support import world
from tests.support.process import commands

log = logging.getLogger(__name__)

ORDER = """
from django.test import Client
from tests.support.api import Api
from tests.support.product import DemoShop
print(DemoShop(Api()).order(DemoShop(Api()).sell("KEPT", WH001=9)).data["status"])
"""


@pytest.mark.e2e
def test_back_from_the_bucket_after_everything_is_gone(demo_seed: world.Seed, tmp_path: Path) -> None:
    told = io.StringIO()
    identity, folder = tmp_path / "identity", tmp_path / "backups"
    call_command("backup_key", str(identity), stdout=told)
    assert f"# public key: {told.getvalue().strip()}\nAGE-SECRET-KEY-1" in identity.read_text()
    with s3.bucket(tmp_path / "s3") as settings:
        objects = tmp_path / "s3" / s3.NAME / "shop"
        settings |= {"ECI_BACKUP_RECIPIENTS": told.getvalue().strip(), "ECI_BACKUP_KEEP": "1"}
        with world.world(demo_seed, tmp_path / "var", ECI_BACKUP_DIR=str(folder), **settings) as shop:
            for old in (folder, objects):
                old.mkdir(parents=True)
                (old / "eci-20260101T030000Z.tar.gz.age").write_bytes(b"of a day long ago")
            (_, ordered), (code, report) = commands(shop, ("shell", "-v", "0", "-c", ORDER), ("backup",))
            assert "SHIPPED" in ordered
            assert code == 0, report
            assert report.count("Deleted from") == 2
            (kept,) = folder.glob("eci-*")
            assert [file.name for file in objects.iterdir()] == [kept.name]
            assert kept.stat().st_mode & 0o777 == 0o600
            assert kept.read_bytes().startswith(b"age-encryption.org/v1") and b"manifest.json" not in kept.read_bytes()
            kept.unlink()
        assert not list(folder.glob(".backup-work-*")), "nothing unencrypted is left"

        key = {"ECI_BACKUP_IDENTITY_FILE": str(identity)}
        if world.ON_SERVERS:
            key["ECI_DRILL_POSTGRES_URL"] = os.environ["ECI_CATALOG_DATABASE_URL"]
        with world.world(None, tmp_path / "again", **settings, **key) as again:
            [(restored, of_restore)] = commands(again, ("restore", "newest", "--audit"))
            [(drilled, of_drill)] = commands(again, ("restore_drill",))
            for code, text in ((restored, of_restore), (drilled, of_drill)):
                assert (code, "The books agree: 1 orders checked" in text) == (0, True), text
            log.info("%s%s%s", report, of_restore, of_drill)
            assert "Next: start the product" not in of_drill
            assert float(re.findall(r"^RTO ([\d.]+) s", of_drill, re.MULTILINE)[0]) > 0


# -- in this process --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], Path]]:
    folder = tmp_path_factory.mktemp("s3")
    with s3.bucket(folder) as told:
        yield told, folder / s3.NAME / "shop"


@pytest.fixture
def two_places(served: tuple[dict[str, str], Path], settings: Any, tmp_path: Path) -> tuple[Path, Path]:
    told, objects = served
    for name, value in told.items():
        setattr(settings, name, value)
    settings.ECI_BACKUP_DIR = tmp_path / "backups"
    settings.ECI_BACKUP_DIR.mkdir()
    settings.ECI_BACKUP_RECIPIENTS = [archives.new_identity()[1]]
    return settings.ECI_BACKUP_DIR, objects


def name_of(hours_ago: float) -> str:
    return f"eci-{utcnow() - timedelta(hours=hours_ago):%Y%m%dT%H%M%SZ}.tar.gz.age"


@pytest.mark.any_engine
def test_a_bucket_that_was_away_gets_the_newest_and_history_stays(two_places: Any, settings: Any) -> None:
    folder, objects = two_places
    for hours in (1, 25, 49):
        (folder / name_of(hours)).write_bytes(b"%d" % hours)
    before = sorted(file.name for file in folder.glob("eci-*"))
    right = settings.ECI_BACKUP_S3_SECRET
    settings.ECI_BACKUP_KEEP, settings.ECI_BACKUP_S3_SECRET = 2, "wrong"
    with pytest.raises(Failed, match=r"s3://backups/shop: .*403") as refused:
        keeping.keep_if_due(print)
    assert "wrong" not in str(refused.value)
    assert sorted(file.name for file in folder.glob("eci-*")) == before, "no more is made, and none is deleted"
    assert not Backup.objects.exists(), "the alert on its age must not be told of what the bucket lacks"

    settings.ECI_BACKUP_S3_SECRET = right
    wait = keeping.keep_if_due(print)
    assert 22 * 3600 < wait < 23 * 3600
    assert [file.read_bytes() for file in objects.iterdir()] == [b"1"]
    assert sorted(file.name for file in folder.glob("eci-*")) == before[1:]
    assert Backup.objects.get().at == keeping.moment(before[-1])


@pytest.mark.any_engine
def test_names_of_others_are_let_alone(two_places: Any, settings: Any) -> None:
    folder, _ = two_places
    others = ["notes.txt", "eci-latest.tar.gz", "eci-20260101T030000Z.tar.gz.age.part", ".hidden"]
    for other in [*others, name_of(1)]:
        (folder / other).write_bytes(b"theirs")
    settings.ECI_BACKUP_S3_URL, settings.ECI_BACKUP_KEEP = "", 1
    keeping.keep_if_due(print)
    assert {file.name for file in folder.iterdir()} >= set(others)
    with pytest.raises(CommandError, match="There is no backup notes.txt"):
        call_command("restore", "notes.txt")


@pytest.mark.any_engine
def test_what_cannot_be_read_is_said(two_places: Any, settings: Any, tmp_path: Path) -> None:
    folder, _ = two_places
    identity, recipient = archives.new_identity()
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "manifest.json").write_text("{}")
    name = name_of(1)
    archives.pack(saved, folder / name, [recipient])
    whole = (folder / name).read_bytes()

    def said(content: bytes, identity: str) -> str:
        settings.ECI_BACKUP_IDENTITY = identity
        (folder / name).write_bytes(content)
        with pytest.raises(CommandError) as refused:
            call_command("restore", "newest", stdout=io.StringIO())
        return str(refused.value)

    assert "is encrypted: set ECI_BACKUP_IDENTITY" in said(whole, "")
    assert "is not a private key of age" in said(whole, "AGE-SECRET-KEY-1QQQ")
    assert "cannot be decrypted" in said(whole, archives.new_identity()[0])
    assert "cannot be decrypted" in said(whole[:-1], identity)
    assert "has format None" in said(whole, f"# created: today\n# public key: {recipient}\n{identity}\n")

    evil = tmp_path / "evil.tar.gz"
    with tarfile.open(evil, "w:gz") as archive:
        archive.add(saved / "manifest.json", arcname="../../outside")
    plain = folder / name_of(0)[: -len(".age")]
    plain.write_bytes(evil.read_bytes())
    with pytest.raises(CommandError, match="is not a file of one"):
        call_command("restore", plain.name, stdout=io.StringIO())
    assert not list(folder.glob(".backup-work-*"))


@pytest.mark.any_engine
def test_a_folder_that_cannot_be_is_told_of(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (Path("/dev/null"), Path("/proc/none/such"), tmp_path / "file" / "backups"):
        settings.ECI_BACKUP_DIR = folder
        assert f"ECI_BACKUP_DIR: no backup can be kept in {folder}" in str(backup_folder(None))
    for folder in (tmp_path, tmp_path / "new" / "one"):
        settings.ECI_BACKUP_DIR = folder
        assert backup_folder(None) == []
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.any_engine
def test_an_identity_without_recipients_is_told_of(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ECI_BACKUP_DIR, settings.ECI_BACKUP_IDENTITY = Path("/backups"), "AGE-SECRET-KEY-1QQQ"
    assert backups_are_not_encrypted(None) == []
    monkeypatch.setenv("ECI_BACKUP_RECIPIENTS", "")
    assert "kept without encryption" in str(backups_are_not_encrypted(None))
    settings.ECI_BACKUP_RECIPIENTS = ["age1qqs"]
    assert backups_are_not_encrypted(None) == []


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ECI_BACKUP_RECIPIENTS": []}, "leave this place only encrypted"),
        ({"ECI_BACKUP_RECIPIENTS": ["ssh-rsa AAAA"]}, "key 1 is not a public key of age"),
        ({"ECI_BACKUP_RECIPIENTS": ["AGE-SECRET-KEY-1QQQ"]}, "key 1 is a private key of age"),
        ({"ECI_BACKUP_IDENTITY": "garbage 1QQQ"}, "ECI_BACKUP_IDENTITY is not a private key of age"),
        ({"ECI_BACKUP_IDENTITY": "# only a comment"}, "ECI_BACKUP_IDENTITY is not a private key of age"),
        ({"ECI_BACKUP_S3_URL": "https://bucket.example/shop"}, "does not name a bucket"),
        ({"ECI_BACKUP_S3_SECRET": ""}, "together, or neither"),
        ({"ECI_BACKUP_KEEP": -1}, "ECI_BACKUP_KEEP must not be negative"),
        ({"ECI_BACKUP_HOURS": 0.0}, "ECI_BACKUP_HOURS must be above 0"),
        ({"ECI_BACKUP_DIR": None, "ECI_BACKUP_S3_URL": ""}, "No place for backups is set"),
    ],
)
def test_settings_that_cannot_be_are_refused(two_places: Any, settings: Any, wrong: Any, said: str) -> None:
    for name, value in wrong.items():
        setattr(settings, name, value)
    with pytest.raises(CommandError, match=said) as refused:
        call_command("backup", "--list")
    assert "1QQQ" not in str(refused.value)
    at_start_up = str(backup_settings(None))
    assert (said in at_start_up) is (said != "No place for backups is set"), "which is nothing wrong with a shop"
