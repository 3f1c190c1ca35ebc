"""`python -m unittest` in this folder: the frozen bundles, single bytes, known answers, and the command line."""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

from agora_make.case import CASES, write
from agora_make.files import policy
from agora_make.good import all_good, one_item
from agora_make.home import Home, path, proof
from agora_make.twist import twisted
from agora_verify import canon, fields, merkle
from agora_verify.context import Context
from agora_verify.journal import read_entry
from agora_verify.keys import Key, Window
from agora_verify.note import key_id, parse_checkpoint, parse_note
from agora_verify.report import STEPS, Report
from agora_verify.verify import to_text, verify
from make import failed, main, run

HERE = pathlib.Path(__file__).parent
SEED = 20261120


class Bundles(unittest.TestCase):
    """What `make.py` writes is judged as it says."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        make(cls.folder)
        cls.rows = json.loads((cls.folder / "expected.json").read_text())

    def test_every_good_bundle_is_consistent(self):
        good = [wanted for wanted in self.rows if wanted["file"].startswith("good/")]
        self.assertGreater(len(good), 40)
        for wanted in good:
            with self.subTest(wanted["file"]):
                document, code = run(self.folder, wanted)
                self.assertEqual((code, failed(document)), (0, []), to_text(document))
                self.assertEqual(document["axes"]["integrity"], "consistent")
                pinned = "key-pinned" if "policy" in wanted else "self-asserted"
                self.assertEqual(document["axes"]["authenticity"], pinned)

    def test_every_bad_bundle_is_found_by_its_code(self):
        bad = [wanted for wanted in self.rows if wanted["file"].startswith("bad/")]
        self.assertEqual(len(bad), len(CASES))
        for wanted in bad:
            with self.subTest(wanted["file"]):
                document, code = run(self.folder, wanted)
                told = {row["code"] for row in document["checks"] if row["status"] in ("fail", "unchecked")}
                self.assertEqual((code, failed(document)), (wanted["exit"], wanted["failed"]), to_text(document))
                self.assertLessEqual(set(wanted["codes"]), told)
                if code == 1:
                    self.assertLessEqual(set(wanted["codes"]), set(wanted["failed"]))

    def test_every_code_has_a_bad_bundle(self):
        codes = {code for codes in STEPS.values() for code in codes}
        tried = {code for wanted in self.rows for code in wanted["codes"]}
        self.assertEqual(codes - tried, set())

    def test_every_attack_of_the_page_is_made(self):
        page = (
            "01 04 05 06 07 11 12 14 15 17 18 25 28 29 30 31 32 34 35 36 38 39 40 42 44 45 47 48 49 50 51 53 55 56 57"
            " 59 62 63 64 67 68 70 71 74 76"
        )
        made = {name.split("-")[1] for name in CASES if name.startswith("A-")}
        self.assertEqual(made, set(page.split()))

    def test_the_same_seeds_give_the_same_bytes(self):
        with tempfile.TemporaryDirectory() as name:
            make(pathlib.Path(name))
            first, second = (files(folder) for folder in (self.folder, pathlib.Path(name)))
            self.assertEqual(first, second)


def make(folder: pathlib.Path):
    """Runs `make.py`."""
    arguments, sys.argv = sys.argv, ["make.py", str(folder)]
    try:
        main()
    finally:
        sys.argv = arguments


def files(folder: pathlib.Path) -> dict:
    """Returns the bytes of all files below `folder`."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class SingleBytes(unittest.TestCase):
    """One byte changed, removed or added anywhere never verifies as consistent (§11)."""

    CHANGES = int(os.environ.get("AGORA_CHANGES", "60"))

    def test_no_change_is_consistent(self):
        bundles = all_good()
        for name in ("one-item", "hand-off-with-retry", "local-anchor", "object-lock-anchor", "with-artifacts", "log",
                     "rotated-key", "open-run"):
            bundle, home = bundles[name]
            for pinned in (False, True):
                with self.subTest(name, pinned=pinned):
                    self.try_changes(write(bundle), policy(home) if pinned else None)

    def try_changes(self, data: bytes, trust: str | None):
        """Tries changes at random places from a fixed seed."""
        chance = random.Random(SEED)
        with tempfile.TemporaryDirectory() as name:
            target, trust_file = pathlib.Path(name, "bundle.json"), pathlib.Path(name, "trust.toml")
            if trust:
                trust_file.write_text(trust)
            for _ in range(self.CHANGES):
                changed, what = change(chance, data)
                target.write_bytes(changed)
                document, code = verify(str(target), str(trust_file) if trust else None, [], None)
                self.assertNotEqual(document["axes"]["integrity"], "consistent", what)
                self.assertNotEqual(code, 0, what)


OTHER = os.environ.get("AGORA_VERIFY")


@unittest.skipUnless(OTHER, "AGORA_VERIFY names no other verifier: whether the two agree is NOT tried")
class Agreement(unittest.TestCase):
    """Another verifier, the program that AGORA_VERIFY names, says the same (invariant I11)."""

    CHANGES = int(os.environ.get("AGORA_CHANGES", "100"))

    def call(self, bundle: pathlib.Path, *arguments: str) -> tuple[dict, int]:
        """Runs the other verifier; returns its report and its exit code."""
        command = [OTHER, str(bundle), "--json", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            return json.loads(done.stdout), done.returncode
        except ValueError:
            self.fail(f"no report: {done.stderr[:500]}")

    def test_every_row(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            make(folder)
            rows = json.loads((folder / "expected.json").read_text())
            self.assertGreater(len(rows), 250)
            for wanted in rows:
                with self.subTest(wanted["file"], require=wanted["require"], policy=wanted.get("policy")):
                    self.compare(folder, wanted)

    def compare(self, folder: pathlib.Path, wanted: dict):
        """One row of `expected.json`: the exit code, what is told, all that fails, and of good bundles the axes."""
        arguments = [part for value in wanted["require"] for part in ("--require", value)]
        for option in ("policy", "anchor"):
            if option in wanted:
                arguments += [f"--{option}", str(folder / wanted[option])]
        document, code = self.call(folder / wanted["file"], *arguments)
        told = {row["code"] for row in document["checks"] if row["status"] in ("fail", "unchecked")}
        self.assertEqual((code, failed(document)), (wanted["exit"], wanted["failed"]), document["checks"])
        self.assertLessEqual(set(wanted["codes"]), told)
        if "axes" in wanted:
            self.assertEqual(document["axes"], wanted["axes"])

    def test_random_stories(self):
        """Good runs, twisted by who holds the keys: both find the same."""
        chance = random.Random(SEED)
        with tempfile.TemporaryDirectory() as name:
            target, trust = pathlib.Path(name, "bundle.json"), pathlib.Path(name, "trust.toml")
            found = set()
            for _ in range(self.CHANGES):
                made, what = twisted(chance)
                target.write_bytes(write(made.bundle()))
                trust.write_text(policy(made.home))
                document, code = self.call(target, "--policy", str(trust))
                own, own_code = verify(str(target), str(trust), [], None)
                found.update(failed(own))
                with self.subTest(what):
                    self.assertEqual((code, failed(document)), (own_code, failed(own)), to_text(own))
            self.assertGreater(len(found), 5)

    def test_single_bytes(self):
        """One byte changed, removed or added: both refuse it, with one exit code."""
        chance = random.Random(SEED)
        bundles = all_good()
        names = ("hand-off-with-retry", "object-lock-anchor", "with-artifacts", "rotated-key", "log")
        with tempfile.TemporaryDirectory() as name:
            target, trust = pathlib.Path(name, "bundle.json"), pathlib.Path(name, "trust.toml")
            for turn in range(self.CHANGES):
                bundle, home = bundles[names[turn % len(names)]]
                changed, what = change(chance, write(bundle))
                target.write_bytes(changed)
                trust.write_text(policy(home))
                document, code = self.call(target, "--policy", str(trust))
                with self.subTest(names[turn % len(names)], what=what):
                    self.assertNotEqual(document["axes"].get("integrity"), "consistent")
                    self.assertEqual(code, verify(str(target), str(trust), [], None)[1])
                    self.assertNotEqual(code, 0)


def change(chance: random.Random, data: bytes) -> tuple[bytes, str]:
    """Returns `data` with one byte flipped, put in place of another, removed or added."""
    at = chance.randrange(len(data))
    kind = chance.choice(("bit", "letter", "letter", "remove", "add"))
    letter = chance.choice(b"0123456789abcdefABCDEFghijk+/=\"\\,:{}[]")
    if kind == "bit":
        new = bytes([data[at] ^ 1 << chance.randrange(8)])
    elif kind == "letter":
        new = bytes([letter if letter != data[at] else letter ^ 1])
    elif kind == "remove":
        new = b""
    else:
        new = bytes([data[at], letter])
    return data[:at] + new + data[at + 1 :], f"{kind} at {at}: {data[at : at + 1]} to {new}"


class KnownAnswers(unittest.TestCase):
    """The vectors on the page, and those of the RFCs."""

    ENTRY = (
        '{"actor":"engine","at":"2026-11-20T18:07:00.000000Z","body":{"back":%s,"by_ms":60000},"prev":"%s","seq":%d,'
        '"type":"clock.jump","v":1}'
    )

    def test_the_page(self):
        genesis = merkle.genesis("example.com/agora", "log").hex()
        self.assertEqual(genesis, "577a977aa27b87f34d2bc0e84658b35572271ba2aa23eb6c77f7b93552adade6")
        first = merkle.leaf((self.ENTRY % ("false", genesis, 0)).encode())
        self.assertEqual(first.hex(), "879beb9d56ff79fb07f568918ba153f268360823149a87968101b0632d1c0360")
        second = merkle.leaf((self.ENTRY % ("true", first.hex(), 1)).encode())
        root = merkle.root([first, second])
        self.assertEqual(root.hex(), "fdde6b47603d979c3a52e96ded2d77ba04e46b91c920ec60d15e11bca609f0f8")
        key = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
        self.assertEqual(key_id("example.com/agora", key).hex(), "68ffe07c")
        data = "aP/gfK1C42FaaICcgaI071uFNNY8DNo9VOuGJejqll1uNLY+3+bc2BbtSX6KD5jY7uOx6A4YyQfNPtMcYmJpl6NT9w4="
        text = f"example.com/agora\n2\n{fields.encode_b64(root)}\n\n\u2014 example.com/agora {data}\n"
        found = parse_checkpoint(text.encode())
        self.assertEqual((found.size, found.root), (2, root))
        signer = Key("example.com/agora", "log", "ed25519", key)
        self.assertTrue(signer.verifies(found.note.lines[0][2], found.note.text))
        self.assertFalse(signer.verifies(found.note.lines[0][2], found.note.text + b"\n"))

    def test_empty_tree(self):
        self.assertEqual(
            merkle.root([]).hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        )

    def test_proofs(self):
        for size in (*range(1, 10), 1000):
            leaves = [merkle.leaf(b"%d" % index) for index in range(size)]
            root = merkle.root(leaves)
            for index in {*range(min(size, 9)), size - 1}:
                hashes = path(leaves, index)
                self.assertTrue(merkle.included(leaves[index], index, size, hashes, root))
                for wrong in (hashes + [root], hashes[:-1], hashes[1:]):
                    if wrong != hashes:
                        self.assertFalse(merkle.included(leaves[index], index, size, wrong, root))
                self.assertFalse(merkle.included(leaves[index], size, size, hashes, root))
                if size > 1:
                    self.assertFalse(merkle.included(leaves[index], (index + 1) % size, size, hashes, root))
            for old in {*range(1, min(size, 9)), size - 1} - {0}:
                old_root, hashes = merkle.root(leaves[:old]), proof(leaves, old)
                self.assertTrue(merkle.consistent(old, old_root, size, root, hashes))
                self.assertFalse(merkle.consistent(old, root, size, root, hashes))
                self.assertFalse(merkle.consistent(old, old_root, size, old_root, hashes))
                for wrong in (hashes + [root], hashes[:-1]):
                    self.assertFalse(merkle.consistent(old, old_root, size, root, wrong))
            for old in (0, size, size + 1):
                self.assertFalse(merkle.consistent(old, root, size, root, []))


class Forms(unittest.TestCase):
    """Bytes accepted and refused, one rule a row (§1)."""

    def test_subset(self):
        good = (
            b"{}", b'{"a":0}', b'{"a":9007199254740991}', b'{"a":"\\"\\\\"}', b'{"A":1,"a":[true,false,{}]}',
            b'{"a":{"a":{"a":{}}}}', b'{"a":"~ "}', b'{"a":[]}',
        )
        for data in good:
            with self.subTest(data):
                canon.read_subset(data, 4)
        bad = (
            b"", b"[]", b"1", b"{} ", b" {}", b"{}{}", b'{"a": 0}', b'{"b":0,"a":0}', b'{"a":0,"a":0}', b'{"a":null}',
            b'{"a":01}', b'{"a":-1}', b'{"a":-0}', b'{"a":1.0}', b'{"a":1e2}', b'{"a":9007199254740992}',
            b'{"a":' + b"1" * 5000 + b"}", b'{"a":NaN}', b'{"a":Infinity}', b'{"a":"\\u0061"}', b'{"a":"\\n"}',
            b'{"a":"\\/"}', b'{"a":"\xc3\xa4"}', b'{"a":"\x7f"}', b'{"a":"\t"}', b'{"a":{"a":{"a":{"a":{}}}}}',
            b'{"a":[[[[]]]]}', b'{"a":"\\u00e4"}', b"\xef\xbb\xbf{}", b'{"a":"\\"}', b'{"a"}', b'{"a":' + b"[" * 9999,
        )
        for data in bad:
            with self.subTest(data[:40]), self.assertRaises(canon.NotCanonical):
                canon.read_subset(data, 4)

    def test_wide(self):
        for data in ('{"a":-1}', '{"a":null}', '{"ä":"\\n\x7f€"}', '{"\U0001f600":1,"\ufb33":2}'):
            with self.subTest(data):
                canon.read_wide(data.encode())
        for data in ('{"\ufb33":2,"\U0001f600":1}', '{"a":"\\u00e4"}', '{"a":1.5}', '{"a":"\\ud800"}'):
            with self.subTest(data), self.assertRaises(canon.NotCanonical):
                canon.read_wide(data.encode())

    def test_types(self):
        rows = {
            fields.name: (("a", "!" * 4096), ("", "a b", "!" * 4097, "\u00e4", 1, "a\n")),
            fields.word: (("a", "a-b_1", "a" * 64), ("", "A", "1a", "a" * 65, "a\n")),
            fields.text: (("", "a b", "~" * 256), ("~" * 257, "a\n", 1)),
            fields.digest: (("sha256:" + "0a" * 32,), ("sha256:" + "0A" * 32, "0a" * 32, "sha256:" + "0a" * 31)),
            fields.hash_: (("0a" * 32,), ("0A" * 32, "0a" * 33)),
            fields.integer: ((0, 2**53 - 1), (True, -1, 2**53, "0", 1.0)),
            fields.boolean: ((True, False), (0, 1, "true")),
            fields.origin: (("a", "example.com/a/B_1", "a" * 100), ("", "/a", "a/", "A", "a//b", "a" * 101, "a\n")),
            fields.b64: (("", "AA==", "AAA=", "AAAA"), ("AB==", "AA", "A===", "A-==", "AAAA\n", "\u00e4")),
            fields.time: (
                ("2026-11-20T18:07:00.000000Z", "2024-02-29T23:59:59.999999Z"),
                ("2026-02-29T00:00:00.000000Z", "2026-11-20T18:07:60.000000Z", "2026-11-20T24:00:00.000000Z",
                 "2026-11-20T18:07:00.000000z", "2026-11-20T18:07:00Z", "2026-11-20 18:07:00.000000Z",
                 "0000-01-01T00:00:00.000000Z"),
            ),
        }
        for check, (good, bad) in rows.items():
            for value in good:
                check(value, "value", 7)
            for value in bad:
                with self.subTest(str(value)[:40]), self.assertRaises(fields.Mistyped):
                    check(value, "value", 7)

    def test_notes(self):
        data = fields.encode_b64(b"\x00" * 68)
        good = f"a\nb\n\n\u2014 name {data}\n"
        self.assertIsNotNone(parse_note(good.encode(), 2))
        self.assertEqual(parse_note(b"a\nb\n\n", 2).lines, ())
        self.assertEqual(len(parse_note((good + f"\u2014 n {data}\n" * 15).encode(), 2).lines), 16)
        bad = (
            good[:-1], good + "\n", good.replace("\u2014", "-"), good.replace("\n", "\r\n"),
            good.replace("b\n\n", "b\n"), good.replace("name", "na+me"), good.replace("name", ""),
            good.replace("name ", "name  "),
            good + f"\u2014 n {data}\n" * 16, "a\nb\n", "a\nb\nc" + good[3:], good.replace(data, "AAAA"),
            good.replace("a\n", "\n", 1), good.replace("a\n", "a\t\n", 1),
        )
        for text in bad:
            with self.subTest(text[:30]):
                self.assertIsNone(parse_note(text.encode(), 2))


class Bounds(unittest.TestCase):
    """What is measured, at its bound and one beyond."""

    def test_entries(self):
        for kind, bound in (("run", 2_097_152), ("log", 65_535)):
            for size, fails in ((bound, False), (bound + 1, True)):
                context = Context({}, Report(), None, None)
                entry = read_entry(context, '{"x":"' + "x" * (size - 8) + '"}', kind, "here")
                self.assertEqual((len(entry.raw), "entry-limit" in context.report.failed_codes()), (size, fails))

    def test_windows(self):
        rows = (
            ((Window(5),), {4: "key-window", 5: None, 99: None}),
            ((Window(5, 8),), {4: "key-window", 5: None, 7: None, 8: "key-window"}),
            ((Window(5, None, 8),), {4: "key-window", 8: None, 9: "key-revoked"}),
            ((Window(5, 20, 8),), {9: "key-revoked", 20: "key-window"}),
            ((Window(5, 8), Window(10)), {7: None, 8: "key-window", 10: None}),
            ((Window(0, 8), Window(5, None, 6)), {6: None, 7: None, 8: "key-revoked"}),
            ((), {0: None, 99: None}),
        )
        for windows, wanted in rows:
            key = Key("k", "run", "ed25519", bytes(32), windows)
            for index, code in wanted.items():
                with self.subTest(windows=windows, index=index):
                    self.assertEqual(key.stands_at(index), code)

    def test_weak_keys(self):
        p = 2**255 - 19
        weak = [0, 1, p - 1, p, p + 1, 2**255 - 1]
        weak = [y.to_bytes(32, "little") for y in weak] + [(y | 1 << 255).to_bytes(32, "little") for y in weak]
        weak += [bytes(31), bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85")]
        for key in weak:
            self.assertTrue(Key("k", "run", "ed25519", key).weak(), key.hex())
        good = Home().signer("run").public
        self.assertFalse(Key("k", "run", "ed25519", good).weak())
        point = Home().p256.public
        self.assertFalse(Key("k", "attest", "ecdsa-p256", point).weak())
        self.assertTrue(Key("k", "attest", "ecdsa-p256", point[:-1] + bytes([point[-1] ^ 1])).weak())


class CommandLine(unittest.TestCase):
    """What an auditor types."""

    def call(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs `verify.py`."""
        command = [sys.executable, str(HERE / "verify.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_exit_codes_and_report(self):
        with tempfile.TemporaryDirectory() as name:
            bundle = pathlib.Path(name, "bundle.json")
            trust = pathlib.Path(name, "trust.toml")
            bundle.write_bytes(write(one_item().bundle()))
            trust.write_text(policy(Home()))
            done = self.call(str(bundle), "--policy", str(trust), "--require", "key-pinned", "--json")
            report = json.loads(done.stdout)
            self.assertEqual((done.returncode, report["format"], report["verdict"]), (0, "agora-report/v1", "verified"))
            self.assertEqual(report["required"], ["consistent", "key-pinned"])
            canon.read_subset(done.stdout.rstrip("\n").encode(), 12)
            done = self.call(str(bundle))
            self.assertEqual(done.returncode, 0)
            self.assertIn("self-asserted", done.stdout)
            self.assertIn("does not show that the work is right", done.stdout)
            self.assertEqual(self.call(str(bundle), "--require", "fully-isolated").returncode, 0)
            self.assertEqual(self.call(str(bundle), "--require", "whole-log").returncode, 1)
            self.assertEqual(self.call(str(bundle), "--require", "key-pinned").returncode, 2)
            self.assertEqual(self.call(str(bundle), "--require", "perfect").returncode, 2)
            self.assertEqual(self.call(str(bundle), "--policy", name + "/none.toml").returncode, 2)
            self.assertEqual(self.call(name + "/none.json").returncode, 2)
            bundle.write_bytes(b"{}\n")
            self.assertEqual(self.call(str(bundle)).returncode, 1)

    def test_a_policy_is_read_strictly(self):
        good = policy(Home())
        bad = (
            good.replace("v = 1", "v = 2"), good.replace("v = 1\n", ""), good.replace('"ed25519"', '"rsa"', 1),
            good.replace('role = "log"', 'role = "boss"'), good + "[require]\ntamper = \"proof\"\n", good + "[",
            good + '[require]\nluck = "much"\n', good.replace("from = 0", "from = -1", 1), good + "x = 1\n",
            good.replace("from = 0", "from = true", 1), good.replace("from = 0", 'from = 0\nnote = "x"', 1),
        )
        with tempfile.TemporaryDirectory() as name:
            bundle, trust = pathlib.Path(name, "bundle.json"), pathlib.Path(name, "trust.toml")
            bundle.write_bytes(write(one_item().bundle()))
            for text, wanted in ((good, 0), *((text, 2) for text in bad)):
                trust.write_text(text)
                with self.subTest(text[-60:]):
                    document, code = verify(str(bundle), str(trust), [], None)
                    self.assertEqual(code, wanted, to_text(document))


if __name__ == "__main__":
    unittest.main()
