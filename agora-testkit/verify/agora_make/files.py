"""Files beside the bundles: policies, and what was fetched from an anchor."""

from agora_verify import canon
from agora_verify.fields import encode_b64

from .good import PLACE, external_place
from .home import Home
from .run import anchored


def policy(home: Home, seen=(), require=None, rows=None, anchors=True) -> str:
    """Returns the trust policy of a home. `rows` change key rows by role: `until`, `last_good`, `from`, `key`."""
    lines = ["v = 1", f'origin = "{home.origin}"', ""]
    for axis, value in (require or {}).items():
        lines += ["[require]", f'{axis} = "{value}"', ""]
    for row in key_rows(home, rows or {}):
        lines.append("[[key]]")
        lines += [f"{name} = {_toml(value)}" for name, value in row.items()] + [""]
    if anchors:
        row = {"name": "vault", "kind": "s3-object-lock", "retain_days": 30}
        row.update({part: PLACE[part] for part in ("account", "region", "bucket")})
        lines.append("[[anchor]]")
        lines += [f"{name} = {_toml(value)}" for name, value in row.items()] + [""]
    for size, root in seen:
        lines += ["[[seen]]", f"size = {size}", f'root = "{root.hex()}"', ""]
    return "\n".join(lines)


def _toml(value) -> str:
    return str(value) if isinstance(value, int) else f'"{value}"'


def key_rows(home: Home, changes: dict) -> list[dict]:
    """Returns the rows of all keys; each is good from its rotation until the next."""
    rows = []
    for role, keys in home.keys.items():
        for index, (start, signer) in enumerate(keys):
            row = {**signer.row(), "from": start}
            if index + 1 < len(keys):
                row["until"] = keys[index + 1][0]
            rows.append({**row, **changes.get(role, {})})
    return [*rows, {**home.p256.row(), "from": 0, **changes.get("attest", {})}]


def fetched(home: Home, **changes) -> bytes:
    """Returns what the service says of the home's last anchor."""
    signed, _ = home.anchors[-1]
    key = external_place(home)["key"].rsplit("/", 1)[0]
    value = {
        "v": 1, **{part: PLACE[part] for part in ("account", "region", "bucket", "version_id", "retain_until")},
        "key": f"{key}/{anchored(home.anchors[-1]):020}.note", "body": encode_b64(signed), "mode": "COMPLIANCE",
        "last_modified": "2026-11-20T19:00:00.000000Z", "fetched_at": "2026-11-27T09:00:00.000000Z",
        "versions": [PLACE["version_id"]], "deleted": False, **changes,
    }
    return canon.write(value) + b"\n"
