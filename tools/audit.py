"""Check the installed packages against the advisories of the Python package index: exit 1 if any is vulnerable.

pip-audit asks the index over the network. Packages that could not be looked up are reported but are no failure: a check
that depends on somebody else's server must not stop work when that is unreachable.
"""

from __future__ import annotations

import json
import subprocess
import sys

COMMAND = [
    sys.executable,
    "-m",
    "pip_audit",
    "--local",
    "--format",
    "json",
    "--progress-spinner",
    "off",
    "--timeout",
    "5",
]


def main() -> int:
    done = subprocess.run(COMMAND, capture_output=True, text=True)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        print(f"!!! NOT AUDITED for known vulnerabilities: {(done.stderr.strip().splitlines() or ['no answer'])[-1]}")
        return 0
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    found = [(package, advisory) for package in packages for advisory in package.get("vulns", ())]
    for package, advisory in found:
        print(f"{package['name']} {package['version']}: {advisory['id']}, fixed in {advisory['fix_versions']}")
    print(f"{len(packages) - len(skipped)} packages audited, {len(found)} known vulnerabilities.")
    if skipped:
        print(f"!!! NOT AUDITED for known vulnerabilities, because the index did not answer: {len(skipped)} packages.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
