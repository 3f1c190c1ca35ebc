"""Step 8: one signed in-toto statement per accepted item, a pure function of entries (§6)."""

from . import canon
from .context import Context
from .fields import decode_b64
from .keys import key_name
from .report import STEPS
from .tale import Attempt, Item

PAYLOAD_TYPE = "application/vnd.in-toto+json"


def check_statements(context: Context):
    """Step 8. It needs every entry to be read. Where the replay failed, due is what was accepted all the same."""
    if context.story is None:
        context.report.skip(8, STEPS[8], "entries", "an entry cannot be read")
        context.all_verified = False
        return
    if context.story.open_ended is None:
        context.report.skip(8, STEPS[8], "entries", "entry 0 is no run.opened")
        context.all_verified = False
        return
    _check_payloads(context)
    for index, envelope in enumerate(context.bundle["statements"]):
        _check_envelope(context, envelope, f"statements[{index}]")


def _check_payloads(context: Context):
    """Statement n is that of the n-th `item.done` that has one."""
    report, given = context.report, context.bundle["statements"]
    wanted = derive_all(context) if context.is_sealed else []
    if not wanted and not given:
        return
    report.good(8, "statement-missing", "statement-extra")
    if len(given) == len(wanted):
        for index, (envelope, payload) in enumerate(zip(given, wanted)):
            ok = decode_b64(envelope["payload"]) == payload
            report.judge(8, "statement-payload", ok, f"statements[{index}]", "not what the entries say")
        return
    # Which of them is out of place cannot be said by position: those that are equal belong together.
    left = [decode_b64(envelope["payload"]) for envelope in given]
    for payload in wanted:
        if payload in left:
            left.remove(payload)
            report.good(8, "statement-payload")
        else:
            report.fail(8, "statement-missing", "statements", "one that is due is not there")
    if left:
        report.fail(8, "statement-extra", "statements", f"{len(left)} that nothing made due")


def derive_all(context: Context) -> list[bytes]:
    """Returns the payloads that are due: of each accepted attempt that made a patch or an output."""
    opened = context.story.values[0]
    return [
        canon.write(derive(opened, done, item, attempt))
        for done, item, attempt in context.story.accepted
        if "patch" in attempt.finished["body"] or attempt.finished["body"]["outputs"]
    ]


def derive(opened: dict, done: dict, item: Item, attempt: Attempt) -> dict:
    """Returns the statement of §6 about `item`, whose `done` accepted `attempt`."""
    body, lease = opened["body"], attempt.leased["body"]
    started, finished = attempt.started["body"], attempt.finished["body"]
    isolation = started["isolation"]
    patch = [("patch", finished["patch"]["digest"])] if "patch" in finished else []
    parameters = {
        "item": item.spec["id"], "item_digest": _bare(item.spec["digest"]), "executor": item.spec["executor"],
        "target": lease["target"],
    }
    if "model" in lease:
        parameters["model"] = lease["model"]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://slsa.dev/provenance/v1",
        "subject": _named(patch + [("outputs/" + part["path"], part["digest"]) for part in finished["outputs"]]),
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:agora:item:v1",
                "externalParameters": parameters,
                "internalParameters": {
                    "attempt": lease["attempt"], "fence": lease["fence"], "isolation": isolation,
                    "secrets": started["secrets"],
                },
                "resolvedDependencies": _named(_dependencies(body, item, lease, started, finished)),
            },
            "runDetails": {
                "builder": {
                    "id": f"https://{body['log']}/builder/{isolation['provider']}/{isolation['profile']}",
                    "version": {"agora": body["agora"]},
                },
                "metadata": {
                    "invocationId": f"{body['log']}/run/{opened['run']}#{done['seq']}",
                    "startedOn": attempt.started["at"], "finishedOn": attempt.finished["at"],
                },
                "byproducts": _named(_byproducts(finished)),
            },
        },
    }


def _dependencies(opened: dict, item: Item, lease: dict, started: dict, finished: dict) -> list:
    """Name and digest of what the attempt was made from; None where the entries have none."""
    uses = [item.resolved[index] for index in item.spec["uses"]]
    inputs = [(part.get("key") or part.get("item") or _bare(part["digest"]), part) for part in lease["inputs"]]
    return [
        ("plan", opened["plan"]), ("registry", opened["registry"]["digest"]),
        ("base", opened.get("base", {}).get("tree")), ("start_tree", finished.get("start_tree")),
        ("target", lease["target_digest"]), ("message", lease.get("message")), ("image", started.get("image")),
        ("worker", started["worker"]["digest"]), ("task", started["task"]),
        *((f"{part['kind']}/{part['name']}", part["digest"]) for part in uses),
        *((f"input/{name}", part["digest"]) for name, part in inputs),
    ]


def _byproducts(finished: dict) -> list:
    return [
        ("result_tree", finished.get("result_tree")), ("log", finished.get("log", {}).get("digest")),
        ("verify", finished.get("verify", {}).get("report")), ("report", finished.get("report")),
    ]


def _named(pairs: list) -> list[dict]:
    """What is absent in the entries is left out; digests lose their `sha256:`."""
    return [{"name": name, "digest": {"sha256": _bare(digest)}} for name, digest in pairs if digest]


def _bare(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _check_envelope(context: Context, envelope: dict, where: str):
    """`statement-signature`: signed by `attest` as DSSE has it, and by nobody else."""
    report = context.report
    if context.ring is None:
        report.skip(8, ["statement-signature", "key-window", "key-revoked"], where, "no keys to go by")
        context.all_verified = False
        return
    keys = _signers(context, envelope)
    ok = envelope["payloadType"] == PAYLOAD_TYPE and keys is not None
    report.judge(8, "statement-signature", ok, where, "not signed as it has to be")
    if keys is None:
        context.all_verified = False
        return
    context.used.update(keys)
    for key in keys:
        context.check_window(8, key, context.spoken_at(), where)


def _signers(context: Context, envelope: dict) -> list | None:
    """Returns the keys that signed, or None. A key is found by trying; `keyid` is compared afterwards."""
    kind, payload = envelope["payloadType"].encode("ascii"), decode_b64(envelope["payload"])
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    found = []
    for signature in envelope["signatures"]:
        data = decode_b64(signature["sig"])
        keys = [key for key in context.ring.of("attest") if key.verifies(data, message)]
        keys = [key for key in keys if key.name == key_name("attest", context.log, key.alg)]
        if not keys or keys[0].name != signature["keyid"]:
            return None
        found.append(keys[0])
    once = len(set(found)) == len(found)
    return found if once and any(key.alg == "ed25519" for key in found) else None
