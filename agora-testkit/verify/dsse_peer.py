#!/usr/bin/env python3
"""Reads what `agora-admin audit RUN --statements DIR` wrote with a DSSE library of others (`securesystemslib==1.6.0`).

    dsse_peer.py DIR TRUST

DIR holds the statements of one run, TRUST is the folder `trust/` of its home. Each envelope must be accepted with both
keys, and no longer once any single byte of its payload or its payload type is changed; its payload must be an in-toto
Statement v1. Exits with 1 at the first thing that is not as promised.
"""

import base64
import copy
import json
import pathlib
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
# Changing every byte of a payload of some kilobytes tells no more than changing this many.
CHANGED_BYTES = 64


def trusted(folder: pathlib.Path) -> list:
    """The two keys of the role attest, under their names."""
    name, _, data = (folder / "attest.vkey").read_text().strip().split("+", 2)
    ed25519 = Ed25519PublicKey.from_public_bytes(base64.b64decode(data)[1:])
    p256 = load_pem_public_key((folder / "attest-p256.pub").read_bytes())
    return [
        SSlibKey.from_crypto(ed25519, keyid=name),
        SSlibKey.from_crypto(p256, keyid=f"{name}-p256", scheme="ecdsa-sha2-nistp256"),
    ]


def accepts(envelope: dict, keys: list, threshold: int) -> bool:
    # The library changes what it is given.
    opened = Envelope.from_dict(copy.deepcopy(envelope))
    try:
        return len(opened.verify(keys, threshold)) >= threshold
    except VerificationError:
        return False


def must(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"error: {what}")


def check(path: pathlib.Path, keys: list) -> None:
    envelope = json.loads(path.read_bytes())
    must(envelope["payloadType"] == PAYLOAD_TYPE, f"{path}: {envelope['payloadType']}")
    must(accepts(envelope, keys, 2), f"{path}: not accepted with both keys")
    payload = base64.b64decode(envelope["payload"], validate=True)
    for at in range(0, len(payload), max(1, len(payload) // CHANGED_BYTES)):
        changed = bytearray(payload)
        changed[at] ^= 1
        other = {**envelope, "payload": base64.b64encode(bytes(changed)).decode()}
        must(not accepts(other, keys, 1), f"{path}: accepted with byte {at} changed")
    must(not accepts({**envelope, "payloadType": "text/plain"}, keys, 1), f"{path}: accepted as another type")
    statement = json.loads(payload)
    must(statement["_type"] == "https://in-toto.io/Statement/v1", f"{path}: {statement['_type']}")
    must(len(statement["subject"]) > 0, f"{path}: no subject")
    for subject in statement["subject"]:
        must(len(bytes.fromhex(subject["digest"]["sha256"])) == 32, f"{path}: {subject}")


def main() -> None:
    folder, trust = map(pathlib.Path, sys.argv[1:])
    keys = trusted(trust)
    found = sorted(folder.glob("*.dsse.json"))
    must(len(found) > 0, f"no statement in {folder}")
    for path in found:
        check(path, keys)
    print(f"securesystemslib accepts {len(found)} statements, and none of them changed")


main()
