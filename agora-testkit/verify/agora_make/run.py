"""A run as it is written: its journal, what each accepted item is vouched for, and its bundle (§2, §6, §8)."""

from agora_verify import canon, merkle
from agora_verify.fields import encode_b64
from agora_verify.note import parse_checkpoint

from .home import Home, digest, path, proof
from .signing import Signer, checkpoint_text, envelope, note

HUMAN = "human:ada"
AUTH = {"how": "os-user", "policy": digest("agora.toml"), "rule": "rules.1"}
STRICT = {
    "provider": "process", "profile": "strict", "weaker": [], "probes": {"failed": [], "passed": 23},
    "network": {"mode": "broker", "boundary": "netns"}, "kernel": "6.12.9",
}
BARE = {
    "provider": "process", "profile": "none", "weaker": ["no walls"], "probes": {"failed": [], "passed": 0},
    "network": {"mode": "open", "boundary": "nothing"},
}
ENDS = {"item.done": "done", "item.failed": "failed", "item.skipped": "skipped", "item.cancelled": "cancelled"}


class Run:
    """One run of `home`. Methods write entries and return their positions; nothing is judged here."""

    def __init__(self, home: Home, name: str = "r-1", origin: str | None = None, open_ended: bool = False,
                 seed: str | None = None):
        self.home, self.name = home, name
        self.origin = f"{origin or home.origin}/run/{name}"
        self.plan = digest(f"plan {name}")
        self.seed = seed or self.plan
        self.entries: list[bytes] = []
        self.values: list[dict] = []
        self.items: dict[str, dict] = {}
        self.resolved: list[dict] = []
        self.attempts: dict[str, list[dict]] = {}
        self.fence = 0
        self.was_ready: set[str] = set()
        self.due: list[bytes] = []
        self.ends: dict[str, int] = dict.fromkeys([*ENDS.values(), "denied"], 0)
        self.cost = 0
        self.blobs: dict[str, bytes] = {}
        self.sealed: int | None = None
        self.pinned: list[Signer] = []
        self.logged_signers: list[Signer] = []
        self.opened = len(home.log)
        self.facts = home.registry_facts()
        self.registry = home.snapshots[-1]
        self.add("run.opened", {
            "log": home.origin, "log_seq": self.opened, "plan": self.plan, "queue": "main", "registry": self.facts,
            "targets": [{"name": "local", "provider": "process", "digest": digest("target")}],
            "agora": "0.1.0", "open_ended": open_ended, "retain_days": 30,
            "base": {"workspace": "site", "tree": digest("base"), "commit": "c0ffee", "dirty": False},
        }, HUMAN, AUTH)
        home.append("run.opened", {
            "run": name, "plan": self.plan, "registry": self.facts, "first": self.leaf(0).hex(),
        })

    def leaf(self, position: int) -> bytes:
        """Returns the leaf of an entry."""
        return merkle.leaf(self.entries[position])

    def add(self, type_: str, body: dict, actor: str = "engine", auth: dict | None = None, **changes) -> int:
        """Appends an entry; `changes` replace members of it."""
        prev = self.leaf(-1) if self.entries else merkle.genesis(self.origin, self.seed)
        entry = {
            "v": 1, "type": type_, "run": self.name, "seq": len(self.entries), "prev": prev.hex(),
            "at": self.home.now(), "actor": actor, "body": body,
        }
        if auth:
            entry["auth"] = auth
        entry.update(changes)
        self.entries.append(canon.write(entry))
        self.values.append(entry)
        return len(self.entries) - 1

    def blob(self, text: str) -> dict:
        """Keeps bytes, and returns them as an artifact."""
        data = text.encode("ascii")
        self.blobs[digest(data)] = data
        return {"digest": digest(data), "size_bytes": len(data)}

    def items_added(self, items: dict[str, list[str]], cause: str = "plan", source: str | None = None,
                    actor: str = "engine", approvals=(), needs: dict[str, list[dict]] | None = None) -> int:
        """Adds items, each with what it depends on. A person decides `approvals`; `needs` are asked for by name."""
        self.resolved = [
            {"kind": "subagent", "name": "edit", "digest": digest("edit one")},
            {"kind": "capability", "name": "style", "digest": digest("style one")},
        ]
        specs = []
        for name, depends_on in items.items():
            self.items[name] = {
                "id": name, "digest": digest(f"item {name}"), "depends_on": depends_on,
                "executor": "approval" if name in approvals else "edit", "needs": (needs or {}).get(name, []),
                "locks": [] if name in approvals else [f"site/{name}"], "uses": [] if name in approvals else [0, 1],
            }
            self.attempts[name] = []
            specs.append(self.items[name])
        body = {"cause": cause, "resolved": self.resolved, "items": specs}
        if source:
            body["source"] = source
        auth = AUTH if actor.startswith(("human:", "agent:")) else None
        return self.add("items.added", body, actor, auth)

    def logged(self, size: int | None = None) -> int:
        """Puts a checkpoint of the log into the run."""
        size = size or len(self.home.log)
        root = merkle.root(self.home.leaves(size))
        signer = self.home.signer("log", size - 1)
        self.logged_signers.append(signer)
        text = checkpoint_text(self.home.origin, size, root).encode("ascii")
        return self.add("run.logged", {"size": size, "root": root.hex(), "sig": signer.line_data(text)})

    def ready(self, item: str, cause: str = "dependencies") -> int:
        """The item may be leased, or asked for."""
        self.was_ready.add(item)
        return self.add("item.ready", {"item": item, "cause": cause})

    def of_item(self, type_: str, item: str) -> list[dict]:
        """Returns the entries of a type and item."""
        return [value for value in self.values if value["type"] == type_ and value["body"]["item"] == item]

    def patch_of(self, item: str, key: str | None = None) -> dict:
        """The accepted patch of a done item, as an input."""
        done = self.of_item("item.done", item)[0]["seq"]
        patch = self.attempts[item][-1]["finish"]["patch"]
        made = {"use": "patch", "digest": patch["digest"], "item": item, "done": done}
        return {**made, "key": key} if key else made

    def inputs_of(self, item: str) -> list[dict]:
        """What the next attempt is given: the patch of each dependency that is done with one, the needs, and the
        answer to the item's question."""
        given = [self.patch_of(name) for name in self.items[item]["depends_on"] if self._has_patch(name)]
        for need in self.items[item]["needs"]:
            made = self.attempts[need["item"]][-1]["finish"]
            done = self.of_item("item.done", need["item"])[0]["seq"]
            parts = [made["patch"]] if need["use"] == "patch" else made["outputs"]
            part = next(part for part in parts if part.get("path") == need.get("path"))
            given.append({**need, "digest": part["digest"], "done": done})
        asked = self.of_item("question.asked", item)
        said = [v["body"] for v in self.values if v["type"] == "question.answered"]
        answers = [body["answer"] for body in said if asked and body["asked"] == asked[-1]["seq"]]
        return given + [{"use": "answer", "digest": answer, "item": item} for answer in answers]

    def _has_patch(self, item: str) -> bool:
        attempts = self.attempts.get(item, [])
        return bool(self.of_item("item.done", item) and attempts and "patch" in attempts[-1].get("finish", {}))

    def lease(self, item: str, inputs: list[dict] | None = None, **changes) -> int:
        """Leases the item's next attempt, ready before the first; with `inputs`, or all that it ought to have."""
        if item not in self.was_ready:
            self.ready(item)
        self.fence += 1
        number = len(self.attempts[item]) + 1
        body = {
            "item": item, "attempt": number, "fence": self.fence, "target": "local", "target_digest": digest("target"),
            "provider": "process", "message": self.blob(f"do {item} {number}\n")["digest"], "model": "small-1",
            "inputs": self.inputs_of(item) if inputs is None else inputs, "locks": self.items[item]["locks"],
            "deadline": "2026-11-20T20:00:00.000000Z",
            "reserved_microusd": 1000, **changes,
        }
        self.attempts[item].append({"lease": body})
        return self.add("attempt.leased", body)

    def start(self, item: str, isolation: dict = STRICT, secrets: list[dict] | None = None, **changes) -> int:
        """Starts the open attempt."""
        attempt = self.attempts[item][-1]
        body = {
            **self._numbers(attempt), "handle": f"pid-{attempt['lease']['fence']}", "isolation": isolation,
            "worker": {"version": "0.1.0", "digest": digest("worker")}, "task": digest(f"task {item}"),
            "secrets": secrets or [], **changes,
        }
        attempt["start"] = body
        position = self.add("attempt.started", body)
        attempt["started_at"] = self.values[-1]["at"]
        return position

    @staticmethod
    def _numbers(attempt: dict) -> dict:
        return {part: attempt["lease"][part] for part in ("item", "attempt", "fence")}

    def finish(self, item: str, outcome: str = "done", why: tuple[str, str] | None = None, **changes) -> int:
        """Ends the open attempt; `done` brings a patch and an output."""
        attempt = self.attempts[item][-1]
        number = attempt["lease"]["attempt"]
        body = {
            **self._numbers(attempt), "outcome": outcome, "duration_ms": 1200, "outputs": [], "models": ["small-1"],
            "usage": {"input_tokens": 10, "output_tokens": 5, "cost_microusd": 7},
            "log": {**self.blob(f"log of {item} {number}\n"), "truncated": False},
            "report": self.blob(f"outcome of {item} {number}\n")["digest"],
        }
        if why:
            body["class"], body["reason"] = why
        if outcome == "done":
            body["start_tree"], body["result_tree"] = digest("base"), digest(f"tree {item}")
            body["patch"] = {**self.blob(f"patch of {item}\n"), "files": 1, "flags": []}
            body["outputs"] = [{**self.blob(f"notes of {item}\n"), "path": "notes.md"}]
            body["verify"] = {"passed": True, "report": self.blob(f"verify of {item}\n")["digest"]}
            body["exit_code"] = 0
        body.update(changes)
        attempt["finish"] = body
        self.cost += body.get("usage", {}).get("cost_microusd", 0)
        attempt["finished"] = self.add("attempt.finished", body)
        attempt["finished_at"] = self.values[-1]["at"]
        return attempt["finished"]

    def attempt(self, item: str, inputs: list[dict] | None = None, isolation: dict = STRICT, **changes) -> int:
        """Leases, starts and finishes an attempt that does well."""
        self.lease(item, inputs)
        self.start(item, isolation)
        return self.finish(item, **changes)

    def end(self, type_: str, item: str, **body) -> int:
        """Ends an item."""
        self.ends[ENDS[type_]] += 1
        return self.add(type_, {"item": item, **body})

    def done(self, item: str, finished: int | None = None) -> int:
        """Accepts the item's latest attempt, or the one that ended at `finished`, and says what is due for it."""
        attempt = self.attempts[item][-1]
        if finished is not None:
            attempt = next(part for part in self.attempts[item] if part["finished"] == finished)
        position = self.end("item.done", item, finished=attempt["finished"])
        if "patch" in attempt["finish"] or attempt["finish"]["outputs"]:
            self.due.append(self.payload(item, attempt, position))
        return position

    def payload(self, item: str, attempt: dict, position: int) -> bytes:
        """Returns the bytes of the statement about an accepted attempt (§6)."""
        spec, lease, start, finish = self.items[item], attempt["lease"], attempt["start"], attempt["finish"]
        dependencies = {
            "plan": self.plan, "registry": self.facts["digest"], "base": digest("base"),
            "start_tree": finish.get("start_tree"), "target": lease["target_digest"], "message": lease["message"],
            "image": start.get("image"), "worker": start["worker"]["digest"], "task": start["task"],
        }
        rows = list(dependencies.items())
        uses = [self.resolved[index] for index in spec["uses"]]
        rows += [(f"{part['kind']}/{part['name']}", part["digest"]) for part in uses]
        for part in lease["inputs"]:
            rows.append(("input/" + (part.get("key") or part.get("item") or part["digest"][7:]), part["digest"]))
        made = [("patch", finish["patch"]["digest"])] if "patch" in finish else []
        made += [("outputs/" + part["path"], part["digest"]) for part in finish["outputs"]]
        left = [(name, finish.get(name)) for name in ("result_tree",)]
        left += [("log", finish["log"]["digest"]), ("verify", finish.get("verify", {}).get("report"))]
        left += [("report", finish["report"])]
        isolation = start["isolation"]
        return canon.write({
            "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1",
            "subject": _rows(made),
            "predicate": {
                "buildDefinition": {
                    "buildType": "urn:agora:item:v1",
                    "externalParameters": {
                        "item": item, "item_digest": spec["digest"][7:], "executor": spec["executor"],
                        "target": lease["target"], "model": lease["model"],
                    },
                    "internalParameters": {
                        "attempt": lease["attempt"], "fence": lease["fence"], "isolation": isolation,
                        "secrets": start["secrets"],
                    },
                    "resolvedDependencies": _rows(rows),
                },
                "runDetails": {
                    "builder": {
                        "id": f"https://{self.home.origin}/builder/{isolation['provider']}/{isolation['profile']}",
                        "version": {"agora": "0.1.0"},
                    },
                    "metadata": {
                        "invocationId": f"{self.home.origin}/run/{self.name}#{position}",
                        "startedOn": attempt["started_at"], "finishedOn": attempt["finished_at"],
                    },
                    "byproducts": _rows(left),
                },
            },
        })

    def complete(self, outcome: str = "done", **changes) -> int:
        """Ends the run."""
        return self.add("run.completed", {"outcome": outcome, **self.ends, "cost_microusd": self.cost, **changes})

    def seal(self, **changes) -> int:
        """Seals the run in the log."""
        self.sealed = self.home.append("run.sealed", {
            "run": self.name, "opened": self.opened, "size": len(self.entries), "root": self.root().hex(),
            "outcome": self.values[-1]["body"].get("outcome", "done") if self.values else "done", **changes,
        })
        return self.sealed

    def root(self) -> bytes:
        """Returns the root over the journal."""
        return merkle.root([merkle.leaf(entry) for entry in self.entries])

    def checkpoint(self) -> bytes:
        """Returns the run's signed checkpoint."""
        text = checkpoint_text(f"{self.home.origin}/run/{self.name}", len(self.entries), self.root())
        return note(text, self.home.signer("run", self.sealed))

    def statements(self, p256: bool = True) -> list[dict]:
        """Returns the envelopes that are due."""
        signers = [self.home.signer("attest", self.sealed)] + ([self.home.p256] if p256 else [])
        return [envelope(payload, *signers) for payload in self.due] if self.sealed else []

    def bundle(self, whole_log: bool = False, artifacts: bool = False, since=(), p256: bool = True) -> dict:
        """Returns the bundle of the run."""
        home = self.home
        statements = self.statements(p256)
        size = self._covering() if not whole_log else len(home.log)
        signers = [home.signer("log", size - 1), home.signer("run", self.sealed), home.signer("registry-admin")]
        signers += self.logged_signers + [home.signer("log", anchored(part) - 1) for part in home.anchors]
        if statements:
            signers += [home.signer("attest", self.sealed)] + ([home.p256] if p256 else [])
        sizes = [entry["body"]["size"] for entry in self.values if entry["type"] == "run.logged"]
        blobs = sorted(self.blobs.items()) if artifacts else []
        value = {
            "manifest": {
                "format": "agora-bundle/v1", "kind": "run", "origin": home.origin, "run": self.name,
                "sealed": self.sealed is not None, "entries": len(self.entries), "statements": len(statements),
                "artifacts": len(blobs),
            },
            "entries": [entry.decode("ascii") for entry in self.entries],
            "checkpoint": encode_b64(self.checkpoint()),
            "log": {"opened": _logged(home, self.opened, size), **log_part(home, size, [*sizes, *since])},
            "registry": {"snapshot": encode_b64(self.registry[0]), "note": encode_b64(self.registry[1])},
            "statements": statements,
            "anchors": anchor_part(home, size),
            "artifacts": [{"digest": name, "data": encode_b64(data)} for name, data in blobs],
            "keys": key_rows(signers),
        }
        if self.sealed is not None:
            value["log"]["sealed"] = _logged(home, self.sealed, size)
        if whole_log:
            value["log"]["entries"] = [entry.decode("ascii") for entry in home.log]
        return value

    def _covering(self) -> int:
        """The smallest size that covers what the bundle shows."""
        logged = [entry["body"]["size"] for entry in self.values if entry["type"] == "run.logged"]
        shown = [self.opened, self.sealed or 0, *(receipt for _, receipt in self.home.anchors)]
        return max([*logged, *(position + 1 for position in shown)])


def anchored(anchor: tuple[bytes, int]) -> int:
    """Returns the size of an anchored checkpoint."""
    return parse_checkpoint(anchor[0]).size


def _rows(pairs: list) -> list[dict]:
    return [{"name": name, "digest": {"sha256": value[7:]}} for name, value in pairs if value]


def _logged(home: Home, position: int, size: int) -> dict:
    hashes = path(home.leaves(size), position)
    return {"entry": home.log[position].decode("ascii"), "proof": [hash_.hex() for hash_ in hashes]}


def log_part(home: Home, size: int, older: list[int]) -> dict:
    """Returns checkpoint B, and the proofs to it from what is older."""
    older = sorted({old for old in [*older, *(anchored(part) for part in home.anchors)] if old < size})
    proofs = [{"from": old, "proof": [hash_.hex() for hash_ in proof(home.leaves(size), old)]} for old in older]
    return {"checkpoint": encode_b64(home.checkpoint(size)), "consistency": proofs}


def anchor_part(home: Home, size: int) -> list[dict]:
    """Returns the anchors of a bundle."""
    return [
        {"checkpoint": encode_b64(signed), **_logged(home, receipt, size)} for signed, receipt in home.anchors
    ]


def key_rows(signers: list[Signer]) -> list[dict]:
    """Returns the keys that signed, each once."""
    rows = {(signer.name, encode_b64(signer.public)): signer.row() for signer in signers}
    return [rows[at] for at in sorted(rows)]


def log_bundle(home: Home) -> dict:
    """Returns the bundle of the log."""
    size = len(home.log)
    signers = [home.signer("log", size - 1)] + [home.signer("log", anchored(part) - 1) for part in home.anchors]
    part = log_part(home, size, [])
    return {
        "manifest": {"format": "agora-bundle/v1", "kind": "log", "origin": home.origin},
        "log": {**part, "entries": [entry.decode("ascii") for entry in home.log]},
        "anchors": anchor_part(home, size),
        "keys": key_rows(signers),
    }
