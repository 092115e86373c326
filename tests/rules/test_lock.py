"""The lock files have all that is installed, with hashes; pip refuses the rest. The image lists its packages."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.support.world import ROOT
from tools import lock

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


def test_what_is_required_and_what_is_installed_is_locked() -> None:
    assert list(lock.problems()) == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for file in ROOT.glob("requirements*"):
        shutil.copy(file, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "before", "after", "told"),
    [
        ("requirements.lock", r"^vine==(.*\n)+?(?=\w)", "", "requirements.lock: vine is missing, which "),
        ("requirements.lock", r"^celery==(.*\n)+?(?=\w)", "", "celery is missing, which requirements.txt needs"),
        ("requirements-dev.lock", r"^uv==[\d.]+", "uv==0.1", "uv 0.1 is not ==0.13.9, as requirements-dev.txt needs"),
        ("requirements.lock", r"(^vine==[\d.]+).*\n( +--hash.*\n)+", r"\1\n", "requirements.lock: vine has no hash"),
        ("requirements.lock", r"(?<=^segno==).*(?= \\)", "0.1", "segno 1.6.6 is installed, and not locked"),
        ("requirements-dev.lock", "sha256:" + "." * 64, "sha256:" + "0" * 64, "is locked otherwise in another file"),
        ("requirements.txt", r"\Z", "flask==3.1.0\n", "flask is missing, which requirements.txt needs"),
    ],
)  # fmt: skip
def test_what_a_lock_lacks_is_told(copy: Path, file: str, before: str, after: str, told: str) -> None:
    text = (copy / file).read_text()
    changed = re.sub(before, after, text, flags=re.MULTILINE)
    assert changed != text
    (copy / file).write_text(changed)
    assert [problem for problem in lock.problems(copy) if told in problem]


@pytest.mark.e2e
def test_setting_up_refuses_a_file_with_another_hash_and_one_that_is_not_locked(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "setup.sh", tmp_path / "tools")
    for name in ("requirements.txt", "requirements-pip.lock"):
        (tmp_path / name).touch()
    pip = tmp_path / ".venv" / "bin" / "pip"
    pip.parent.mkdir(parents=True)
    pip.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip "$@" --target {tmp_path}/installed\n')
    pip.chmod(0o755)
    one = _wheel(tmp_path, "lamp", needs="shade")
    other = _wheel(tmp_path, "shade")

    def set_up(*pins: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "requirements.lock").write_text("".join(f"{pin}\n" for pin in pins))
        environment = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
        command = ["tools/setup.sh", "requirements.txt"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)

    lamp, shade = f"lamp==1 --hash=sha256:{one}", f"shade==1 --hash=sha256:{other}"
    for pins, why in (
        ((lamp, shade.replace(other, "0" * 64)), "DO NOT MATCH THE HASHES"),
        ((lamp, "shade==1"), "Hashes are required"),
    ):
        refused = set_up(*pins)
        assert refused.returncode != 0, why
        assert why in refused.stderr, refused.stderr
    done = set_up(lamp, shade)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "installed" / "shade.py").exists()


def _wheel(folder: Path, name: str, *, needs: str = "") -> str:
    """A package with one empty module. Returns its file's hash."""
    file, info = folder / f"{name}-1-py3-none-any.whl", f"{name}-1.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n" + (f"Requires-Dist: {needs}\n" if needs else "")
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return sha256(file.read_bytes()).hexdigest()


@pytest.mark.long
def test_the_image_s_list_of_packages_is_whole_and_valid(tmp_path: Path) -> None:
    """As the Dockerfile makes it, of this environment. Its shape is checked on a few packages: on all it takes long."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    [arguments] = re.findall(r"cyclonedx-py (environment .*) \\", (ROOT / "docker" / "Dockerfile").read_text())
    program = Path(sys.executable).with_name("cyclonedx-py")
    command = arguments.replace("/opt/venv/bin/python", sys.executable).split()
    subprocess.run([program, *command, "--no-validate"], cwd=tmp_path, check=True, capture_output=True)
    bom = json.loads((tmp_path / "sbom.cdx.json").read_text())
    listed = {canonicalize_name(one["name"]): one["version"] for one in bom["components"]}
    here = {name: listed[name] for name in lock.read(ROOT / "requirements.lock") if name in listed}
    assert here == {name: lock.read(ROOT / "requirements.lock")[name].version for name in here}
    wanted = {canonicalize_name(one.name) for one in lock.requirements_of(ROOT / "requirements.txt")}
    assert wanted <= set(here)
    assert all(one["purl"].startswith("pkg:pypi/") for one in bom["components"])
    few = {one["bom-ref"] for one in bom["components"][:2]}
    bom["components"] = bom["components"][:2]
    bom["dependencies"] = [{"ref": one["ref"]} for one in bom["dependencies"] if one["ref"] in few]
    validator = JsonStrictValidator(SchemaVersion.from_version(bom["specVersion"]))
    assert validator.validate_str(json.dumps(bom)) is None
    bom["components"][0]["type"] = "nothing"
    assert validator.validate_str(json.dumps(bom)) is not None
