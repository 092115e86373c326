"""Files of the product are its owner's alone; what was left open is closed when the product starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config import private

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "mail").mkdir(parents=True)
    for name in ("orders.sqlite3", "mail/1.log", "run.sh"):
        (folder / name).write_text("x")
        (folder / name).chmod(0o755 if name == "run.sh" else 0o664)
    folder.chmod(0o2755)
    return folder


def test_what_was_open_is_closed(data: Path, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere.sqlite3"
    outside.write_text("x")
    outside.chmod(0o644)
    (data / "link").symlink_to(outside)
    (data / "nowhere").symlink_to(tmp_path / "nothing")
    private.mend(folders=[data, tmp_path / "nothing"], files=[tmp_path / "no.sqlite3"])
    modes = {name: mode(data / name) for name in (".", "mail", "orders.sqlite3", "mail/1.log", "run.sh")}
    assert modes == {".": 0o2700, "mail": 0o700, "orders.sqlite3": 0o600, "mail/1.log": 0o600, "run.sh": 0o700}
    assert mode(outside) == 0o644, "a link is not followed"
    private.mend(folders=[], files=[outside])
    assert mode(outside) == 0o600


def test_a_folder_of_everybody_s_stays(data: Path) -> None:
    data.chmod(0o1777)
    private.mend(folders=[data], files=[])
    assert (mode(data), mode(data / "orders.sqlite3")) == (0o1777, 0o664)


def test_what_is_made_from_now_on_is_private(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        private.begin(tmp_path / "new" / "data")
        (tmp_path / "new" / "data" / "file").touch()
    finally:
        os.umask(before)
    assert (mode(tmp_path / "new" / "data"), mode(tmp_path / "new" / "data" / "file")) == (0o700, 0o600)
