#!/usr/bin/env python3
"""Tries agora-mcp with the Python SDK's client (`mcp==2.3.0`), in both eras of the protocol.

    python_client.py AGORA_MCP HOME [--subagent NAME] [--plan FILE] [--tools-only]

HOME is a home made by `agora-admin init` with a subagent that ends by itself. For each era: the nine tools, then
catalog -> submit -> watch -> result -> audit, with progress, and what must be refused. With --tools-only the home need
not exist. Exits with 1 at the first thing that is not as promised.
"""

import argparse
import asyncio
import importlib.metadata
import json
import sys

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPError

SDK = "2.3.0"
ERAS = ["legacy", "auto", "2026-07-28"]
NINE = ["catalog", "dispatch", "submit", "status", "watch", "result", "answer", "cancel", "audit"]
# Far beyond what a run of one item takes.
RUN_SECONDS = 120


class Mismatch(Exception):
    """Something is not as promised."""


def expect(holds, what):
    if not holds:
        raise Mismatch(what)


async def call(client, name, arguments, progress=None):
    answer = await client.call_tool(name, arguments, progress_callback=progress)
    expect(not answer.is_error, f"{name} {json.dumps(arguments)[:200]}: {answer.content[0].text if answer.content else answer}")
    expect(answer.structured_content is not None, f"{name}: no structured content")
    return answer.structured_content


async def refused(client, name, arguments, code, hint):
    answer = await client.call_tool(name, arguments)
    text = answer.content[0].text
    expect(answer.is_error, f"{name}: not refused")
    expect(answer.structured_content is None, f"{name}: an error with structured content")
    expect(text.startswith(f"{code}: ") and hint in text, f"{name}: {text}")


async def check_tools(client):
    tools = (await client.list_tools()).tools
    expect([tool.name for tool in tools] == NINE, f"the tools are {[tool.name for tool in tools]}")
    expect(all(tool.output_schema and tool.annotations and tool.title for tool in tools), "a tool says too little")
    await refused(client, "status", {"runid": "r"}, "unknown-argument", "run_id")
    await refused(client, "cancel", {"run_id": "r"}, "missing-argument", "reason")
    try:
        await client.call_tool("start_worker", {})
    except MCPError as error:
        expect("call dispatch" in str(error), f"start_worker: {error}")
    else:
        raise Mismatch("start_worker was not refused")
    templates = (await client.list_resource_templates()).resource_templates
    expect(len(templates) == 5, f"{len(templates)} resource templates")
    prompt = await client.get_prompt("offload", {"task": "T"})
    expect("agora" in prompt.messages[0].content.text, "the prompt is empty")


async def wait_for_end(client, run_id):
    seen = []

    async def progress(count, _total, message):
        seen.append(count)
        expect(len(message or "") <= 200, f"a progress message of {len(message)} characters")

    arguments = {"run_ids": [run_id], "until": "terminal", "wait_seconds": 20}
    for _ in range(RUN_SECONDS // 20):
        reply = await call(client, "watch", arguments, progress)
        if not reply["timed_out"] and not reply.get("more"):
            break
        arguments["after"] = reply["cursor"]
    else:
        raise Mismatch(f"the run {run_id} did not end in {RUN_SECONDS} s")
    expect(all(a < b for a, b in zip(seen, seen[1:])) or len(arguments) > 3, f"progress went back: {seen}")
    return seen


async def check_run(client, options):
    catalog = await call(client, "catalog", {"kind": "subagent"})
    usable = [entry["name"] for entry in catalog["entries"] if "problem" not in entry]
    expect(usable, "the home has no usable subagent")
    if options.plan:
        with open(options.plan, encoding="utf-8") as file:
            plan = json.load(file)
    else:
        worker_input = {"prompt": "Say hello."}
        plan = {"items": [{"id": "one", "inputs": {"subagent": options.subagent or usable[0], "workerInput": worker_input}}]}

    dry = await call(client, "submit", {"plan": plan, "dry_run": True})
    expect(dry["state"] == "valid" and "run_id" not in dry, f"dry run: {dry['state']}")
    run = await call(client, "submit", {"plan": plan})
    run_id, item_id = run["run_id"], plan["items"][0]["id"]
    seen = await wait_for_end(client, run_id)
    expect(seen, "no progress notification")

    status = await call(client, "status", {"run_id": run_id})
    expect(status["run"]["state"] == "done", f"the run is {status['run']['state']}: {json.dumps(status)[:600]}")
    result = await call(client, "result", {"run_id": run_id, "item_id": item_id})
    expect(result["state"] == "done", f"the item is {result['state']}")
    await call(client, "result", {"run_id": run_id})

    # A run is sealed right after its end.
    for _ in range(100):
        audit = await call(client, "audit", {"run_id": run_id})
        if audit["verdict"] != "open":
            break
        await asyncio.sleep(0.1)
    expect(audit["verdict"] == "verified", f"the audit says {audit['verdict']}: {json.dumps(audit['checks'])[:600]}")
    report = await client.read_resource(f"agora://run/{run_id}/report")
    expect(json.loads(report.contents[0].text)["verdict"] == "verified", "the report as a resource says otherwise")

    await refused(client, "status", {"run_id": "no-such-run"}, "run-unknown", "status")
    return run_id


async def check(era, options):
    server = StdioServerParameters(command=options.program, args=["--home", options.home])
    async with Client(server, mode=era) as client:
        await check_tools(client)
        run_id = None if options.tools_only else await check_run(client, options)
    return f"{era}: nine tools" + (f", run {run_id} verified" if run_id else "")


def leaves(error):
    """What went wrong, without the groups that the client's tasks wrap it in."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("home")
    parser.add_argument("--subagent")
    parser.add_argument("--plan")
    parser.add_argument("--tools-only", action="store_true")
    options = parser.parse_args()
    version = importlib.metadata.version("mcp")
    if version != SDK:
        sys.exit(f"needs mcp=={SDK}, found {version}")
    for era in ERAS:
        try:
            print(asyncio.run(asyncio.wait_for(check(era, options), 4 * RUN_SECONDS)))
        except (Mismatch, ExceptionGroup) as error:
            for leaf in leaves(error):
                print(f"{era}: {type(leaf).__name__}: {leaf}", file=sys.stderr)
            sys.exit(1)


if __name__ == "__main__":
    main()
