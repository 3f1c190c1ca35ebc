"""The attacks of §11 on bytes, chain, notes, keys, log, statements and anchors; those on the story are beside."""

from agora_verify import canon, merkle
from agora_verify.fields import decode_b64, encode_b64
from agora_verify.note import parse_checkpoint

from . import good
from .case import attack, rechain, recount, values
from .files import fetched, policy
from .home import Home, digest, path
from .run import BARE, Run
from .signing import Signer, checkpoint_text, envelope, note

ORDER = 2**252 + 27742317777372353535851937790883648493


def one() -> dict:
    """The bundle that most attacks start from. Its entries: 0 opened, 1 added, 2 logged, 3 ready, 4 leased,
    5 started, 6 finished, 7 done, 8 completed."""
    return good.one_item().bundle()


def replaced(bundle: dict, position: int, old: str, new: str) -> dict:
    """Changes text in one entry, and nothing else."""
    text = bundle["entries"][position]
    if old not in text:
        raise ValueError(old)
    bundle["entries"][position] = text.replace(old, new, 1)
    return bundle


# Entries


@attack("A-01", "checkpoint-root")
def bit_flipped():
    return replaced(one(), 6, '"duration_ms":1200', '"duration_ms":1201')


@attack("A-04", "entry-seq")
def middle_dropped():
    bundle = one()
    del bundle["entries"][3]
    return recount(bundle)


@attack("A-05", "checkpoint-size")
def dropped_and_chained():
    bundle = one()
    entries = values(bundle)
    del entries[3]
    entries[6]["body"]["finished"] = 5
    bundle["entries"] = rechain(entries)
    return recount(bundle)


@attack("A-06", "checkpoint-size")
def tail_cut():
    bundle = one()
    bundle["entries"].pop()
    return recount(bundle)


@attack("A-07", "checkpoint-root")
def tail_forged():
    bundle = one()
    entries = values(bundle)
    entries[8]["body"]["outcome"] = "failed"
    bundle["entries"] = rechain(entries)
    return bundle


def chained_elsewhere(**changes):
    run = Run(Home(), **changes)
    run.items_added({"a": []})
    run.logged()
    run.ready("a")
    run.attempt("a")
    run.done("a")
    return good.end(run).bundle()


@attack("A-11-origin", "entry-prev")
def chained_to_another_origin():
    return chained_elsewhere(origin="other.example/agora")


@attack("A-11-plan", "entry-prev")
def chained_to_another_plan():
    return chained_elsewhere(seed=digest("another plan"))


@attack("A-12", "entry-run")
def two_runs_joined():
    home = Home()
    first, second = good.one_item(home), good.one_item(home, "r-2")
    bundle = first.bundle()
    bundle["entries"][5:] = [entry.decode("ascii") for entry in second.entries[5:]]
    return bundle, home


@attack("A-14", "checkpoint-root")
def value_moved():
    bundle = one()
    entries = values(bundle)
    entries[6]["body"]["usage_broker"] = entries[6]["body"].pop("usage")
    bundle["entries"][6] = canon.write(entries[6]).decode("ascii")
    return bundle


@attack("A-15", "entry-encoding")
def name_twice():
    return replaced(one(), 6, '"v":1}', '"v":1,"v":1}')


def number(text: str):
    return replaced(one(), 6, '"duration_ms":1200', f'"duration_ms":{text}')


for _name, _text in (("exponent", "1e2"), ("fraction", "100.0"), ("minus-zero", "-0"), ("big", "9007199254740993")):
    attack(f"A-17-{_name}", "entry-encoding")(lambda text=_text: number(text))


@attack("A-18", "entry-schema")
def unknown_member():
    run = good.begin()
    run.ready("a")
    run.lease("a")
    run.start("a", skip_verify=True)
    run.finish("a")
    run.done("a")
    return good.end(run).bundle()


# Proofs


@attack("A-25", "log-inclusion")
def interior_node():
    bundle = one()
    bundle["log"]["opened"]["proof"].pop(0)
    return bundle


@attack("A-28", "checkpoint-origin")
def checkpoint_of_another_run():
    home = Home()
    run, other = good.one_item(home), good.one_item(home, "r-2")
    bundle = run.bundle()
    bundle["checkpoint"] = encode_b64(other.checkpoint())
    return bundle, home


def opened_proof(change):
    bundle = one()
    bundle["log"]["opened"]["proof"] = change(bundle["log"]["opened"]["proof"])
    return bundle


@attack("A-29-index", "log-inclusion")
def proof_of_another_index():
    run = good.one_item()
    hashes = [hash_.hex() for hash_ in path(run.home.leaves(run._covering()), run.opened - 1)]
    return opened_proof(lambda _: hashes)


attack("A-29-long", "log-inclusion")(lambda: opened_proof(lambda proof: [*proof, "00" * 32]))
attack("A-29-short", "log-inclusion")(lambda: opened_proof(lambda proof: proof[:-1]))


@attack("A-30", "log-consistency")
def invented_consistency():
    bundle = one()
    part = bundle["log"]["consistency"][0]
    part["proof"] = [digest(hash_)[7:] for hash_ in part["proof"]]
    return bundle


@attack("A-31", "story-start")
def empty_run():
    run = good.Run(Home())
    run.entries, run.values = [], []
    run.seal()
    bundle = run.bundle()
    return bundle


# Notes and keys


def run_note(change):
    """The run's checkpoint with another text, signed with the right key."""
    run = good.one_item()
    bundle = run.bundle()
    text = checkpoint_text(f"{run.home.origin}/run/r-1", len(run.entries), run.root())
    bundle["checkpoint"] = encode_b64(change(text, run.home.signer("run")))
    return bundle


attack("A-32-extension", "checkpoint-format")(lambda: run_note(lambda text, key: note(text + "more\n", key)))
attack("A-32-crlf", "checkpoint-format")(lambda: run_note(lambda text, key: note(text.replace("\n", "\r\n"), key)))
attack("A-32-zero", "checkpoint-format")(lambda: run_note(lambda text, key: note(text.replace("\n9\n", "\n09\n"), key)))
attack("A-32-no-lf", "checkpoint-format")(lambda: run_note(lambda text, key: note(text, key)[:-1]))


@attack("A-34", "checkpoint-unsigned")
def line_removed():
    """A witness's line is left."""
    witness = Signer("witness.example/w1", "log", "witness")
    return run_note(lambda text, key: note(text, witness))


@attack("A-34-no-line", "checkpoint-unsigned")
def every_line_removed():
    return run_note(lambda text, key: note(text))


@attack("A-35", "key-unknown")
def another_key_of_this_name():
    return run_note(lambda text, key: note(text, Signer(key.name, "run", "mallory")))


@attack("A-36", "key-substituted")
def everything_signed_anew():
    forged = good.one_item(Home(seed="mallory"))
    return forged.bundle()


@attack("A-38", "key-role")
def log_signed_by_the_run_key():
    run = good.one_item()
    bundle = run.bundle()
    found = parse_checkpoint(decode_b64(bundle["log"]["checkpoint"]))
    bundle["log"]["checkpoint"] = encode_b64(note(found.note.text.decode("ascii"), run.home.signer("run")))
    return bundle


@attack("A-39-window", "key-window")
def outside_its_window():
    return one(), None, {"trust": policy(Home(), rows={"run": {"until": 3}})}


@attack("A-39-early", "key-window")
def before_its_window():
    return one(), None, {"trust": policy(Home(), rows={"run": {"from": 100}})}


@attack("A-39-revoked", "key-revoked")
def after_its_revocation():
    return one(), None, {"trust": policy(Home(), rows={"run": {"last_good": 2}})}


@attack("A-40-small-order", "key-weak", pinned=False)
def small_order_key():
    """With the point of order one as key, R = that point and S = 0 sign everything."""

    class Weak(Signer):
        def __init__(self, key: Signer):
            super().__init__(key.name, key.role, "weak")
            self.public = (1).to_bytes(32, "little")

        def sign(self, message):
            return self.public + bytes(32)

    run = good.begin()
    run.home.keys["run"] = [(0, Weak(run.home.signer("run")))]
    run.ready("a")
    run.attempt("a")
    run.done("a")
    return good.end(run).bundle()


@attack("A-40-large-s", "checkpoint-signature")
def s_above_the_order():
    def larger(text, key):
        signed = note(text, key).decode("utf-8")
        head, data = signed.rstrip("\n").rsplit(" ", 1)
        raw = decode_b64(data)
        s = int.from_bytes(raw[36:], "little") + ORDER
        return f"{head} {encode_b64(raw[:36] + s.to_bytes(32, 'little'))}\n".encode()

    return run_note(larger)


# Statements, rotation, registry, artifacts


def enveloped(change):
    """The one statement's envelope, made otherwise by the holder of the keys."""
    run = good.one_item()
    bundle = run.bundle()
    bundle["statements"][0] = change(run, run.due[0])
    return bundle


def signers(run: Run) -> list[Signer]:
    return [run.home.signer("attest"), run.home.p256]


@attack("A-42-type", "statement-signature")
def type_swapped():
    return enveloped(lambda run, payload: envelope(payload, *signers(run), kind="application/json"))


@attack("A-42-keyid", "statement-signature")
def keyid_lies():
    def lie(run, payload):
        made = envelope(payload, *signers(run))
        made["signatures"][0]["keyid"] = "example.com/agora/run"
        return made

    return enveloped(lie)


@attack("A-42-twice", "statement-signature")
def key_counted_twice():
    return enveloped(lambda run, payload: envelope(payload, signers(run)[0], *signers(run)))


@attack("A-44", "key-rotation")
def rotated_by_the_new_key_alone():
    home = Home()
    home.rotate("run", "second", forged=True)
    return good.one_item(home).bundle(whole_log=True), home


@attack("A-45", "artifact-digest")
def patch_replaced():
    run = good.one_item()
    bundle = run.bundle(artifacts=True)
    wanted = run.attempts["a"][0]["finish"]["patch"]["digest"]
    for artifact in bundle["artifacts"]:
        if artifact["digest"] == wanted:
            artifact["data"] = encode_b64(b"another patch\n")
    return bundle


@attack("A-47", "statement-payload")
def statement_of_another_item():
    bundle = good.hand_off().bundle()
    bundle["statements"][1] = bundle["statements"][0]
    return bundle


@attack("A-51", "statement-payload")
def isolation_raised():
    run = good.begin()
    run.ready("a")
    run.attempt("a", isolation=BARE)
    run.done("a")
    run.due = [payload.replace(b'"profile":"none"', b'"profile":"strict"') for payload in run.due]
    return good.end(run).bundle()


@attack("A-53", "registry-digest")
def older_snapshot():
    home = Home()
    home.deploy("one")
    bundle = good.one_item(home).bundle()
    snapshot, signed = home.snapshots[0]
    bundle["registry"] = {"snapshot": encode_b64(snapshot), "note": encode_b64(signed)}
    return bundle, home


@attack("A-55", "artifact-unreferenced")
def artifact_of_nobody():
    bundle = good.one_item().bundle(artifacts=True)
    bundle["artifacts"].append({"digest": digest(b"slipped in\n"), "data": encode_b64(b"slipped in\n")})
    bundle["artifacts"].sort(key=lambda artifact: artifact["digest"])
    return recount(bundle)


# Anchors


@attack("A-56", "anchor-receipt")
def receipt_of_another_log():
    other = Home("other.example/agora", "other")
    other_run = good.one_item(other)
    other.anchor("local")
    bundle = one()
    bundle["anchors"] = other_run.bundle()["anchors"]
    return bundle


def fetched_with(**changes):
    """The anchored run, and what was fetched."""
    run = good.anchored_run()
    return run.bundle(), run.home, {"anchor": fetched(run.home, **changes)}


attack("A-57", "anchor-contested")(lambda: fetched_with(versions=["v-1", "v-2"]))
attack("A-59-governance", "anchor-mode")(lambda: fetched_with(mode="GOVERNANCE"))
attack("A-59-expired", "anchor-retention")(lambda: fetched_with(fetched_at="2036-11-20T18:07:00.000000Z"))
attack("A-59-short", "anchor-retention")(lambda: fetched_with(retain_until="2026-12-20T18:59:59.999999Z"))


@attack("A-62", "anchor-unchecked", 2)
def not_fetched():
    run = good.anchored_run()
    return run.bundle(), run.home, {"require": ["tamper-evident"]}


@attack("A-62-unreadable", "anchor-unchecked", 2)
def fetched_is_no_such_file():
    run = good.anchored_run()
    return run.bundle(), run.home, {"anchor": b'{"error":"access denied"}\n'}


@attack("A-63-no-place", "anchor-place")
def local_called_external():
    home = Home()
    run = good.one_item(home)
    home.anchor("s3-object-lock")
    return run.bundle(), home


@attack("A-63-other-place", "anchor-place")
def place_that_the_policy_has_not():
    home = Home()
    run = good.one_item(home)
    home.anchor("s3-object-lock", {**good.external_place(home), "bucket": "of-the-host"})
    return run.bundle(), home


@attack("A-63-other-key", "anchor-place")
def key_of_another_size():
    home = Home()
    place = good.external_place(home)
    run = good.one_item(home)
    home.anchor("s3-object-lock", place)
    return run.bundle(), home


@attack("A-63-fetched-elsewhere", "anchor-place")
def fetched_from_another_account():
    return fetched_with(account="444455556666")


@attack("A-64", "required-unmet")
def receipts_stripped():
    return one(), None, {"trust": policy(Home(), require={"tamper": "tamper-evident"})}


# The log


@attack("A-67", "log-rollback")
def older_than_seen():
    home = Home()
    run = good.one_item(home)
    bundle = run.bundle()
    good.one_item(home, "r-2")
    return bundle, home, {"trust": policy(home, seen=[(len(home.log), merkle.root(home.leaves()))])}


@attack("A-68", "log-fork")
def two_of_one_size():
    home = Home()
    run = good.one_item(home)
    return run.bundle(), home, {"trust": policy(home, seen=[(run._covering(), bytes.fromhex("ab" * 32))])}


@attack("A-70", "required-unmet")
def opened_and_never_sealed():
    home = Home()
    good.begin(home, "r-0")
    return good.one_item(home).bundle(whole_log=True), home, {"require": ["all-sealed"]}


@attack("A-71", "log-resealed")
def sealed_twice():
    home = Home()
    run = good.one_item(home)
    first = run.sealed
    run.seal(root=digest("another root")[7:])
    run.sealed = first
    return run.bundle(whole_log=True), home


# The bundle


@attack("A-74", "bundle-schema")
def report_inside():
    return {**one(), "report": {"integrity": "consistent", "verdict": "intact"}}


@attack("A-76-key", "bundle-schema")
def key_path_inside():
    bundle = one()
    bundle["keys"][0]["path"] = "keys/log.pub"
    return bundle


@attack("A-76-policy", "bundle-schema")
def policy_path_inside():
    bundle = one()
    bundle["manifest"]["policy"] = "trust.toml"
    return bundle


