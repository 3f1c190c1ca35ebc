"""Private keys from seeds, and what they sign: notes (§3), envelopes and rotations (§5, §6)."""

import hashlib

from agora_verify.fields import encode_b64
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

_RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
_POINT = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


class Signer:
    """A private key with its name and role. Signing is deterministic for both algorithms."""

    def __init__(self, name: str, role: str, seed: str, alg: str = "ed25519"):
        self.name, self.role, self.alg = name, role, alg
        secret = hashlib.sha256(f"agora vectors {seed}".encode("ascii")).digest()
        if alg == "ed25519":
            self._key = ed25519.Ed25519PrivateKey.from_private_bytes(secret)
            self.public = self._key.public_key().public_bytes(*_RAW)
        else:
            self._key = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())
            self.public = self._key.public_key().public_bytes(*_POINT)

    def sign(self, message: bytes) -> bytes:
        """Returns the signature over `message`."""
        if self.alg == "ed25519":
            return self._key.sign(message)
        return self._key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))

    def row(self) -> dict:
        """Returns the key as `keys` of a bundle has it."""
        return {"name": self.name, "role": self.role, "alg": self.alg, "key": encode_b64(self.public)}

    def line_data(self, text: bytes) -> str:
        """Returns what follows the key name in the signature line of a note over `text`."""
        key_id = hashlib.sha256(self.name.encode("ascii") + b"\n\x01" + self.public).digest()[:4]
        return encode_b64(key_id + self.sign(text))


def note(text: str, *signers: Signer) -> bytes:
    """Returns the signed note over `text`, which ends in LF."""
    lines = [f"\u2014 {signer.name} {signer.line_data(text.encode('ascii'))}\n" for signer in signers]
    return (text + "\n" + "".join(lines)).encode("utf-8")


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """Returns the text of a checkpoint."""
    return f"{origin}\n{size}\n{encode_b64(root)}\n"


def envelope(payload: bytes, *signers: Signer, kind: str = "application/vnd.in-toto+json") -> dict:
    """Returns the DSSE envelope of `payload`."""
    message = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode("ascii") + payload
    signatures = [{"keyid": signer.name, "sig": encode_b64(signer.sign(message))} for signer in signers]
    return {"payload": encode_b64(payload), "payloadType": kind, "signatures": signatures}
