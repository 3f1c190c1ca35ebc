#!/bin/sh
# Lists the tools through the MCP Inspector's command line, in both eras, and fails on a schema that not every client takes.
#
#   inspector.sh AGORA_MCP [HOME]
#
# AGORA_MCP is the program. The home is not opened by this; it need not exist. Needs node 20 and npx.
set -eu

program=${1:?"usage: inspector.sh AGORA_MCP [HOME]"}
home=${2:-/nonexistent/agora}
inspector="@modelcontextprotocol/inspector@2.12.0"

for era in legacy modern; do
    list=$(npx --yes "$inspector" --cli "$program" --home "$home" --protocol-era "$era" \
        --method tools/list --strict --format json)
    printf '%s' "$list" | node -e '
        const era = process.argv[1];
        const read = JSON.parse(require("fs").readFileSync(0, "utf8"));
        const tools = (read.result ?? read).tools.map((tool) => tool.name).join(" ");
        const wanted = "catalog dispatch submit status watch result answer cancel audit";
        if (tools !== wanted) {
            console.error(`${era}: the tools are ${tools}`);
            process.exit(1);
        }
        console.log(`${era}: nine tools, every schema portable`);
    ' "$era"
done
