"""Verify an export of the stock ledger: python verify_ledger.py KEYS [EARLIER ...] <EXPORT; exit code 1 for findings.

EXPORT: from ``manage.py verify-ledger --export``. KEYS: public PEM keys. EARLIER: older exports or logged checkpoints,
which must still be true. A link's digest covers its movement and the link before it of the same product and warehouse;
text (reason, reference) by a salted digest, which stays when it is erased. Checkpoints sign links' running digest."""

import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

SETTLED = 3600  # seconds; no transaction that writes a movement takes longer
FACTS = ("id", "product_id", "warehouse", "delta", "on_hand", "kind", "order_id", "actor", "at")


def digest_of(*values: Any) -> str:
    return sha256(json.dumps(values).encode()).hexdigest()


def link_of(previous: str, salt: str, erased: str, movement: Any) -> str:
    text = movement["reason"], movement["reference"]
    words = erased if erased and not any(text) else digest_of(salt, *text)
    return digest_of(previous, words, *(movement[name] for name in FACTS))


def is_signed(signed: list[Any], signature: str, key: Any) -> bool:
    with suppress(InvalidSignature, ValueError):
        return key.verify(bytes.fromhex(signature), json.dumps(signed).encode(), ECDSA(SHA256())) is None
    return False


def verify(records: Iterable[Any], keys: list[Any], earlier: Iterable[Any] = ()) -> tuple[str, list[tuple[str, str]]]:
    """What was verified; and what was changed, each time the subject, and the problem in words."""
    heads: dict[str, tuple[str, int | None]] = {}  # by place: the digest of its last link, and the units on hand then
    links, covered, number, digest, since, settled = 0, 0, 0, "", "the beginning", 0
    known, marks, found = {one[2]: one[4] for row in earlier if (one := row.get("checkpoint")) and one[2]}, [], []
    for record in records:
        movement = record.get("movement")
        if "checkpoint" in record:
            *signed, signature = this, at, count, upto, running, _ = record["checkpoint"]
            if this != number + 1:
                found.append(("ledger", f"checkpoints {number + 1} to {this - 1} are missing, after {since}"))
            number = this
            if not any(is_signed(signed, signature, key) for key in keys):
                found.append(("ledger", f"checkpoint {number} was changed, or has another key; it is dated {at}"))
                continue
            if links < count:
                found.append(("ledger", f"links {links + 1} to {count} are missing, sealed by {at}"))
            elif digest != running:
                found.append(("ledger", f"links were made anew, of those sealed after {since} and by {at}"))
            links, covered, digest, since = count, count, running, at
            marks.append((datetime.fromisoformat(at).timestamp(), upto))  # no movement sealed by then has a higher id
            while marks[0][0] <= marks[-1][0] - SETTLED:
                settled = marks.pop(0)[1]
        elif "link" in record:
            place, on_hand = record["place"], None
            previous, before = heads.get(place, ("", 0))
            about = f"movement {record['id']}, sealed after {since},"
            if record["link"] != links + 1:
                found.append(("ledger", f"links {links + 1} to {record['link'] - 1} are missing, sealed after {since}"))
            if not movement:
                found.append((place, f"{about} was deleted"))
            elif link_of(previous, record["salt"], record["erased"], movement) != record["digest"]:
                found.append((place, f"{about} was changed, or its link was; it is dated {movement['at']}"))
            else:
                on_hand = movement["on_hand"]
                if before is not None and before + movement["delta"] != on_hand:
                    found.append((place, f"{about} does not follow: {before} {movement['delta']:+d} is not {on_hand}"))
            heads[place] = record["digest"], on_hand
            links, digest = record["link"], sha256(f"{digest}{record['digest']}".encode()).hexdigest()
            if known.pop(links, digest) != digest:
                found.append(("ledger", f"an earlier checkpoint says otherwise of the first {links} links"))
        elif movement["id"] <= settled:
            found.append((record["place"], f"movement {movement['id']} was inserted; it is dated {movement['at']}"))
    if links > covered:
        found.append(("ledger", f"the checkpoint of links {covered + 1} to {links} is missing"))
    if known:
        found.append(("ledger", f"an earlier checkpoint has {max(known)} links; {links} are left"))
    return f"{links} movements, sealed by {number} checkpoints, the last of {since}", found


if __name__ == "__main__":
    try:
        pem, *older = [Path(path).read_bytes() for path in sys.argv[1:]]
        keys = [load_pem_public_key(b"-----BEGIN" + one) for one in pem.split(b"-----BEGIN")[1:]]
        seen, told = verify(map(json.loads, sys.stdin), keys, map(json.loads, b"\n".join(older).splitlines()))
    except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        sys.exit(f"Nothing was verified ({error}). {(__doc__ or '').splitlines()[0]}")
    told += [("ledger", "no movement was read, and so none is proven")] if seen.startswith("0 movements") else []
    sys.stdout.write("\n".join([*map(": ".join, told), seen, ""]))
    sys.exit(bool(told))
