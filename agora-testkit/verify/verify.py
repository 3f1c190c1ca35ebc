"""Verifies an evidence bundle of agora: `python verify.py FILE [--policy trust.toml] [--require VALUE]…
[--anchor fetched.json] [--json]`. Exit code 0: verified, 1: a check failed, 2: could not check (§9)."""

import argparse
import sys

from agora_verify.policy import AXIS_OF
from agora_verify.verify import to_json, to_text, verify


def main() -> int:
    """Reads the command line, verifies and prints."""
    parser = argparse.ArgumentParser(prog="verify.py", description="Verifies an evidence bundle of agora.")
    parser.add_argument("file", metavar="FILE", help="the bundle")
    parser.add_argument("--policy", metavar="FILE", help="whom the auditor trusts; else all is self-asserted")
    parser.add_argument("--require", metavar="VALUE", action="append", default=[], choices=sorted(AXIS_OF))
    parser.add_argument("--anchor", metavar="FILE", help="what was fetched from an anchor")
    parser.add_argument("--json", action="store_true", help="print agora-report/v1")
    arguments = parser.parse_args()
    document, code = verify(arguments.file, arguments.policy, arguments.require, arguments.anchor)
    print(to_json(document) if arguments.json else to_text(document))
    return code


if __name__ == "__main__":
    sys.exit(main())
