"""Steps 4 and 5: the run's checkpoint, and the run's place in the log (§3, §4)."""

from . import merkle
from .context import Context, Entry
from .fields import decode_b64, encode_b64
from .journal import all_readable
from .keys import Key, key_name
from .note import Checkpoint, parse_checkpoint

_PLACE = "log-inclusion log-consistency log-rollback log-fork log-unseen".split()


def check_run_checkpoint(context: Context):
    """Step 4."""
    found = context.checkpoint(4, decode_b64(context.bundle["checkpoint"]), "run", "checkpoint")
    if found:
        context.check_content(4, found, context.entries, "checkpoint")


def check_log_checkpoint(context: Context):
    """Step 5: note B, and all entries of the log where they are at hand."""
    found = context.checkpoint(5, decode_b64(context.bundle["log"]["checkpoint"]), "log", "log.checkpoint")
    context.checkpoint_b = found
    if found and context.log_entries is not None:
        context.check_content(5, found, context.log_entries, "log.checkpoint")


def check_log(context: Context):
    """Step 5: proofs, what this auditor has seen, and what the log says of the run."""
    if context.checkpoint_b is None:
        context.report.skip(5, _PLACE, "log.checkpoint", "it has not the form of a checkpoint")
    else:
        _check_proofs(context, context.checkpoint_b)
    if context.kind == "run":
        _check_opened(context)
        _check_sealed(context)
        _check_logged(context)
    if context.log_entries is not None:
        _check_resealed(context, context.log_entries)
        _check_rotations(context, context.log_entries)


def _check_proofs(context: Context, found: Checkpoint):
    log = context.bundle["log"]
    for part in ("opened", "sealed"):
        entry = getattr(context, part)
        if entry is None:
            continue
        if entry.value is None:
            context.report.skip(5, "log-inclusion", f"log.{part}", "the entry cannot be read")
        else:
            proof = [bytes.fromhex(hash_) for hash_ in log[part]["proof"]]
            ok = merkle.included(entry.leaf, entry.value["seq"], found.size, proof, found.root)
            context.report.judge(5, "log-inclusion", ok, f"log.{part}.proof", "does not lead to the checkpoint")
    _check_consistency(context, found)
    _check_seen(context, found)


def _older_roots(context: Context) -> dict[tuple[int, bytes], bool]:
    """Returns (size, root) of every older log checkpoint that is stated here; true if its proof is needed.

    What a policy has seen is not needed: without a proof that is `log-unseen`.
    """
    older = {}
    if context.policy:
        older.update({seen: False for seen in context.policy.seen})
    for anchor in context.bundle["anchors"]:
        note = parse_checkpoint(decode_b64(anchor["checkpoint"]))
        if note:
            older[note.size, note.root] = True
    for entry in context.entries:
        if entry.value and entry.value["type"] == "run.logged":
            body = entry.value["body"]
            older[body["size"], bytes.fromhex(body["root"])] = True
    return older


def _check_consistency(context: Context, found: Checkpoint):
    """`log-consistency`: every proof given leads to B, and every one that is needed is given.

    One from a size of which nobody here states a root (`--since`) is for an auditor who has seen that.
    """
    report = context.report
    older = _older_roots(context)
    proofs = {part["from"]: [bytes.fromhex(h) for h in part["proof"]] for part in context.bundle["log"]["consistency"]}
    for size, proof in proofs.items():
        roots = [root for old_size, root in older if old_size == size] or [_own_root(context, size)]
        for root in roots:
            if root is None:
                where = f"log.consistency from {size}"
                report.skip(5, "log-consistency", where, "nobody here says what the log was at this size")
                continue
            ok = merkle.consistent(size, root, found.size, found.root, proof)
            context.proved[size, root] = ok
            report.judge(5, "log-consistency", ok, f"log.consistency from {size}", "does not lead to the checkpoint")
    for (size, root), needed in older.items():
        if size == found.size:
            context.proved[size, root] = root == found.root
        if not needed or size in proofs:
            continue
        ok = size == found.size and root == found.root
        report.judge(5, "log-consistency", ok, f"log.consistency from {size}", "missing, or another root of this size")


def _own_root(context: Context, size: int) -> bytes | None:
    """With all entries of the log at hand nobody has to state an old root."""
    if context.log_entries is None or size > len(context.log_entries):
        return None
    return merkle.root([entry.leaf for entry in context.log_entries[:size]])


def _check_seen(context: Context, found: Checkpoint):
    """`log-rollback`, `log-fork`, `log-unseen`: against the log checkpoints this auditor has accepted."""
    report = context.report
    for size, root in context.policy.seen if context.policy else ():
        where = f"seen of size {size}"
        ok = found.size >= size
        report.judge(5, "log-rollback", ok, where, f"the bundle's checkpoint has size {found.size}")
        if found.size == size:
            report.judge(5, "log-fork", found.root == root, where, "the bundle's checkpoint has another root")
        if found.size <= size or (size, root) in context.proved:
            continue
        own = _own_root(context, size)
        if own is None:
            report.skip(5, "log-unseen", where, "no proof from it: export with --since")
            report.could_not = True
        else:
            report.judge(5, "log-consistency", own == root, where, "the log had another root at this size")


def _check_opened(context: Context):
    """`log-opened`: the log opened this run, with this plan, registry and first entry."""
    report = context.report
    first, opened = context.entries[0] if context.entries else None, context.opened
    if first is None or first.value is None or first.value["type"] != "run.opened" or opened.value is None:
        report.skip(5, "log-opened", "log.opened", "an opening cannot be read")
        return
    facts, body = first.value["body"], opened.value["body"]
    ok = opened.value["type"] == "run.opened" and opened.value["seq"] == facts["log_seq"]
    ok = ok and body["run"] == context.run and body["plan"] == facts["plan"]
    ok = ok and body["registry"] == facts["registry"] and body["first"] == first.leaf.hex()
    report.judge(5, "log-opened", ok, "log.opened", "does not state this run's facts")


def _check_sealed(context: Context):
    """`log-sealed`: the log sealed this run, as it opened it, at this size, root and outcome. A run that nothing
    completes has no outcome."""
    report, sealed = context.report, context.sealed
    if sealed is None:
        if context.is_sealed:
            report.fail(5, "log-sealed", "log.sealed", "absent, though the run is sealed")
        return
    if sealed.value is None:
        report.skip(5, "log-sealed", "log.sealed", "the entry cannot be read")
        return
    body = sealed.value["body"]
    root = merkle.root([entry.leaf for entry in context.entries])
    ok = sealed.value["type"] == "run.sealed" and body["run"] == context.run
    ok = ok and body["size"] == len(context.entries) and body["root"] == root.hex()
    first = context.entries[0].value if context.entries else None
    if ok and first and first["type"] == "run.opened":
        ok = body["opened"] == first["body"]["log_seq"]
    ok = ok and body["opened"] < sealed.value["seq"]
    if ok and all_readable(context):
        ends = [entry.value["body"] for entry in context.entries if entry.value["type"] == "run.completed"]
        ok = bool(ends) and body["outcome"] == ends[0]["outcome"]
    report.judge(5, "log-sealed", ok, "log.sealed", "does not state this run's facts")


def _check_logged(context: Context):
    """`run.logged`: a log checkpoint like any other, before the first lease, and covering the opening."""
    report = context.report
    if any(entry.value is None for entry in context.entries) or not context.entries:
        report.skip(5, "log-late", "entries", "an entry cannot be read, or there is none")
        context.all_verified = context.all_verified and not context.entries
        return
    log_seq = context.entries[0].value["body"].get("log_seq")
    logged = leased = False
    for position, entry in enumerate(context.entries):
        where = f"entries[{position}]"
        body = entry.value["body"]
        if entry.value["type"] == "run.logged":
            logged = True
            _check_note_of(context, body, where)
            if log_seq is not None:
                report.judge(5, "log-late", body["size"] > log_seq, where, "does not cover the opening")
        elif entry.value["type"] == "attempt.leased" and not leased:
            leased = True
            report.judge(5, "log-late", logged, where, "leased before a checkpoint of the log stood in the run")


def _check_note_of(context: Context, body: dict, where: str):
    """The note that a `run.logged` stands for: `sig` is what follows the key name in it."""
    root = encode_b64(bytes.fromhex(body["root"]))
    name = key_name("log", context.log)
    text = f"{context.log}\n{body['size']}\n{root}\n\n\u2014 {name} {body['sig']}\n"
    context.checkpoint(5, text.encode("utf-8"), "log", where)


def _check_resealed(context: Context, entries: list[Entry]):
    """`log-resealed`: no run is opened twice or sealed twice."""
    seen = set()
    for position, entry in enumerate(entries):
        if entry.value is None:
            context.report.skip(5, "log-resealed", f"log.entries[{position}]", "the entry cannot be read")
        elif entry.value["type"] in ("run.opened", "run.sealed"):
            fact = (entry.value["type"], entry.value["body"]["run"])
            where = f"log.entries[{position}]"
            context.report.judge(5, "log-resealed", fact not in seen, where, f"{fact[0]} of {fact[1]} again")
            seen.add(fact)


def _check_rotations(context: Context, entries: list[Entry]):
    """`key-rotation`: signed by the old and the new key, the old one being in force (§5)."""
    force = {}  # (role, name, key) -> alg
    for position, entry in enumerate(entries):
        where = f"log.entries[{position}]"
        if entry.value is None:
            context.report.skip(5, "key-rotation", where, "an entry of the log cannot be read")
            return
        type_, body = entry.value["type"], entry.value["body"]
        if type_ == "log.opened":
            force.update({(key["role"], key["name"], key["key"]): key["alg"] for key in body["keys"]})
        elif type_ == "key.added":
            force[body["role"], body["name"], body["key"]] = body["alg"]
        elif type_ == "key.revoked":
            force.pop((body["role"], body["name"], body["key"]), None)
        elif type_ == "key.rotated":
            old_alg = force.pop((body["role"], body["name"], body["old"]), None)
            ok = old_alg is not None and _rotation_signed(context, position, body, old_alg)
            context.report.judge(5, "key-rotation", ok, where, "not by both keys, or the old one is not in force")
            force[body["role"], body["name"], body["key"]] = body["alg"]


def _rotation_signed(context: Context, position: int, body: dict, old_alg: str) -> bool:
    text = f"agora/key-rotation/v1\n{context.log}\n{body['role']}\n{position}\n{body['old']}\n{body['key']}\n"
    old = Key(body["name"], body["role"], old_alg, decode_b64(body["old"]))
    new = Key(body["name"], body["role"], body["alg"], decode_b64(body["key"]))
    message = text.encode("ascii")
    return (
        not old.weak() and not new.weak()
        and old.verifies(decode_b64(body["sig_old"]), message)
        and new.verifies(decode_b64(body["sig_new"]), message)
    )
