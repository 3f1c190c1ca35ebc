"""An installation: its keys, its registry and its log of runs (§4, §5)."""

import datetime
import hashlib

from agora_verify import canon, merkle
from agora_verify.fields import encode_b64

from .signing import Signer, checkpoint_text, note

START = datetime.datetime(2026, 11, 20, 18, 7)


def digest(text: str | bytes) -> str:
    """Returns the digest of bytes, or of what stands for bytes nobody needs."""
    data = text if isinstance(text, bytes) else text.encode("ascii")
    return "sha256:" + hashlib.sha256(data).hexdigest()


def path(leaves: list[bytes], index: int) -> list[bytes]:
    """Returns the inclusion proof of a leaf: PATH of RFC 6962 §2.1.1."""
    if len(leaves) <= 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*path(leaves[:split], index), merkle.root(leaves[split:])]
    return [*path(leaves[split:], index - split), merkle.root(leaves[:split])]


def proof(leaves: list[bytes], old: int, whole: bool = True) -> list[bytes]:
    """Returns the consistency proof from size `old`: SUBPROOF of RFC 6962 §2.1.2."""
    if old == len(leaves):
        return [] if whole else [merkle.root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= split:
        return [*proof(leaves[:split], old, whole), merkle.root(leaves[split:])]
    return [*proof(leaves[split:], old - split, False), merkle.root(leaves[:split])]


class Home:
    """One installation. `log` holds the entries' bytes."""

    def __init__(self, origin: str = "example.com/agora", seed: str = "home"):
        self.origin, self.seed = origin, seed
        self.registry_id = hashlib.sha256(seed.encode("ascii")).hexdigest()[:32]
        self.clock = START
        self.log: list[bytes] = []
        names = {"log": origin, "run": f"{origin}/run", "attest": f"{origin}/attest"}
        names["registry-admin"] = f"agora/registry-admin/{self.registry_id}"
        # From which index (of the registry: version) on a key signs.
        self.keys = {role: [(0, Signer(name, role, f"{seed} {role}"))] for role, name in names.items()}
        self.p256 = Signer(f"{origin}/attest-p256", "attest", f"{seed} p256", "ecdsa-p256")
        rows = [{**signer.row(), "custody": "file"} for signer in [*(k[0][1] for k in self.keys.values()), self.p256]]
        self.append("log.opened", {"format": "agora-log/v1", "keys": rows})
        self.snapshots: list[tuple[bytes, bytes]] = []
        self.anchors: list[tuple[bytes, int]] = []
        self.deploy("one")

    def now(self) -> str:
        """Returns the time, one second after the last."""
        self.clock += datetime.timedelta(seconds=1)
        return self.clock.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def leaves(self, size: int | None = None) -> list[bytes]:
        """Returns the leaves of the first `size` entries of the log."""
        return [merkle.leaf(entry) for entry in self.log[:size]]

    def append(self, type_: str, body: dict, actor: str = "engine") -> int:
        """Appends to the log; returns the position."""
        prev = merkle.leaf(self.log[-1]) if self.log else merkle.genesis(self.origin, "log")
        entry = {
            "v": 1, "type": type_, "seq": len(self.log), "prev": prev.hex(), "at": self.now(), "actor": actor,
            "body": body,
        }
        self.log.append(canon.write(entry))
        return len(self.log) - 1

    def signer(self, role: str, index: int | None = None) -> Signer:
        """Returns the key of `role` in force at a log index, or now."""
        keys = [signer for start, signer in self.keys[role] if index is None or start <= index]
        return keys[-1]

    def checkpoint(self, size: int) -> bytes:
        """Returns the signed checkpoint of the log at `size`."""
        text = checkpoint_text(self.origin, size, merkle.root(self.leaves(size)))
        return note(text, self.signer("log", size - 1))

    def rotate(self, role: str, seed: str, forged: bool = False):
        """Rotates the key of a role. `forged`: who does so has not the old key."""
        old, seq = self.signer(role), len(self.log)
        new = Signer(old.name, role, f"{self.seed} {role} {seed}")
        old_b64, new_b64 = encode_b64(old.public), encode_b64(new.public)
        message = f"agora/key-rotation/v1\n{self.origin}\n{role}\n{seq}\n{old_b64}\n{new_b64}\n".encode("ascii")
        by_old = new.sign(message) if forged else old.sign(message)
        row = {**new.row(), "custody": "file", "old": old_b64}
        self.append("key.rotated", {**row, "sig_old": encode_b64(by_old), "sig_new": encode_b64(new.sign(message))})
        self.keys[role].append((seq, new))

    def deploy(self, what: str):
        """Publishes the next version of the registry, and has it accepted."""
        version = len(self.snapshots) + 1
        previous = digest(self.snapshots[-1][0]) if self.snapshots else "-"
        entries = {
            "subagent": {"edit": {"digest": digest(f"edit {what}"), "since": version}},
            "capability": {"style": {"digest": digest("style two"), "since": 1, "history": [
                {"digest": digest("style one"), "since": 1},
            ]}},
        }
        snapshot = canon.write({
            "format": "agora-registry/v1", "registry": self.registry_id, "version": version, "entries": entries,
        })
        text = f"agora-registry/v1\n{self.registry_id}\n{version}\n{digest(snapshot)}\n{previous}\n"
        signed = note(text, self.signer("registry-admin"))
        self.snapshots.append((snapshot, signed))
        self.append("registry.accepted", self.registry_facts())

    def registry_facts(self) -> dict:
        """Returns what `run.opened` states of the newest snapshot."""
        snapshot, signed = self.snapshots[-1]
        return {"version": len(self.snapshots), "digest": digest(snapshot), "note": digest(signed)}

    def anchor(self, kind: str, place: dict | None = None, **changes):
        """Anchors the log as it is, and appends the receipt."""
        size = len(self.log)
        signed = self.checkpoint(size)
        body = {
            "anchor": "vault" if place else "beside", "kind": kind, "size": size,
            "root": merkle.root(self.leaves()).hex(), "note": digest(signed),
        }
        if place:
            body["place"] = place
        self.anchors.append((signed, self.append("anchor.receipt", {**body, **changes})))
