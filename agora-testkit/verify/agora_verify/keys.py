"""Public keys, what they may sign, and signatures (§5)."""

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

_P = 2**255 - 19
_GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493

# The y of points of small order, as §5 lists them.
_SMALL_Y = {0, 1, 2**255 - 20} | {
    int.from_bytes(bytes.fromhex(text), "little") & (2**255 - 1)
    for text in (
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    )
}


@dataclass(frozen=True)
class Window:
    """Where a key is good: from an index on, before another, and up to a last good one."""

    start: int = 0
    until: int | None = None
    last_good: int | None = None


@dataclass(frozen=True)
class Key:
    """A public key for one role. Two are the same if all four members are."""

    name: str
    role: str
    alg: str
    key: bytes
    windows: tuple[Window, ...] = field(default=(), compare=False)

    def weak(self) -> bool:
        """Whether no signature of this key says anything."""
        if not right_length(self.alg, self.key):
            return True
        if self.alg == "ecdsa-p256":
            return _p256(self.key) is None
        y = int.from_bytes(self.key, "little") & (2**255 - 1)
        return y >= _P or y in _SMALL_Y

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` is this key's over `message`."""
        try:
            if self.alg == "ecdsa-p256":
                _p256(self.key).verify(signature, message, ec.ECDSA(hashes.SHA256()))
            else:
                _check_s(signature)
                ed25519.Ed25519PublicKey.from_public_bytes(self.key).verify(signature, message)
        except (InvalidSignature, ValueError, UnsupportedAlgorithm):
            return False
        return True

    def stands_at(self, index: int) -> str | None:
        """Returns None if a signature that speaks at `index` is inside a window, else the code of §9."""
        if not self.windows:
            return None
        open_ = [w for w in self.windows if w.start <= index and (w.until is None or index < w.until)]
        if any(w.last_good is None or index <= w.last_good for w in open_):
            return None
        return "key-revoked" if open_ else "key-window"


def _check_s(signature: bytes):
    """RFC 8032 §5.1.7: S is below the group order."""
    if len(signature) != 64 or int.from_bytes(signature[32:], "little") >= _GROUP_ORDER:
        raise InvalidSignature


def _p256(key: bytes):
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
    except ValueError:
        return None


def right_length(alg: str, key: bytes) -> bool:
    """Whether `key` has the bytes of its algorithm: 32, or the uncompressed point of 65."""
    return len(key) == 32 if alg == "ed25519" else len(key) == 65 and key[0] == 4


class Ring:
    """The keys that a verification goes by. A weak key is no key."""

    def __init__(self, keys):
        self.keys = [key for key in keys if not key.weak()]

    def of(self, role: str) -> list[Key]:
        """Returns the keys of `role`."""
        return [key for key in self.keys if key.role == role]

    def others(self, role: str) -> list[Key]:
        """Returns the keys of every other role."""
        return [key for key in self.keys if key.role != role]


def key_name(role: str, log: str, alg: str = "ed25519", registry: str = "") -> str:
    """Returns the name that the key of a role has (§5)."""
    return {
        "log": log,
        "run": f"{log}/run",
        "attest": f"{log}/attest" if alg == "ed25519" else f"{log}/attest-p256",
        "registry-admin": f"agora/registry-admin/{registry}",
    }[role]
