#!/bin/sh
# Makes a golden home: `make.sh BIN OUT.tar`, BIN being a folder with the programs of the version to be kept. Needs git, and
# the right to name a host in a namespace of its own, so that nothing of the machine is in it.
set -eu
bin=$(realpath "$1"); out=$(realpath "$2")
if [ -z "${GOLDEN_INSIDE-}" ]; then
    GOLDEN_INSIDE=1 exec unshare --uts "$0" "$bin" "$out"
fi
hostname golden.example
root=/tmp/golden; rm -rf "$root"; mkdir -p "$root/work"; cd "$root/work"
export HOME="$root" AGORA_HOME="$root/home" USER=golden LOGNAME=golden PATH=/usr/local/bin:/usr/bin:/bin
agora() { "$bin/agora-admin" "$@"; }

printf 'hello\n' > README.md
git -c init.defaultBranch=main init -q
git add . && git -c user.name=t -c user.email=t@t commit -q -m first --date 2026-01-01T00:00:00Z

agora init > /dev/null
cat > "$AGORA_HOME/agora.toml" <<'TOML'
[targets.local]
provider = "process"
profiles = ["strict", "strict-nocg", "landlock-only", "none"]
[engine]
linger = false
TOML
cat > ../writer.toml <<'TOML'
runtime = "command"
argv = ["sh", "-c", "set -e; read -r name text || :; printf '%s\\n' \"$text\" > \"$name\"; echo did it"]
targets = ["*"]
template = "{{ name }} {{ text }}"
TOML
cat > ../asker.toml <<'TOML'
runtime = "command"
argv = ["sh", "-c", '''
case $(cat) in
*blue*) echo blue > colour.txt ;;
*) mkdir .agora; printf '{"question": "which colour?", "options": ["red", "blue"]}' > .agora/needs_input.json ;;
esac''']
targets = ["*"]
may_ask = true
template = "paint it{% if agora.answer %}: {{ agora.answer }}{% endif %}"
TOML
agora subagent register writer --from ../writer.toml > /dev/null
agora subagent register asker --from ../asker.toml > /dev/null

item() { printf '{"id": "%s", "depends_on": [%s], "inputs": {"subagent": "writer", "workerInput": {"name": "%s.txt", "text": "by %s"}}}' "$1" "$2" "$1" "$1"; }
workspace='"workspace": {"name": "cwd"}'
# Sealed.
printf '{"id": "done", "items": [%s, %s], %s}' "$(item a '')" "$(item b '"a"')" "$workspace" > ../done.json
agora submit ../done.json --watch --timeout 60 --request-id golden > /dev/null
# Waits for an answer, and then for a person.
printf '{"id": "asks", "items": [{"id": "ask", "inputs": {"subagent": "asker"}}, {"id": "gate", "executor": "approval", "inputs": {"question": "ship it?"}, "depends_on": ["ask"]}, %s], %s}' "$(item after '"gate"')" "$workspace" > ../asks.json
agora submit ../asks.json --watch --timeout 60 > /dev/null || [ $? -eq 8 ]
# Grew, and has something to do that nobody drives.
printf '{"id": "grows", "openEnded": true, "items": [%s], %s}' "$(item first '')" "$workspace" > ../grows.json
agora submit ../grows.json --watch --timeout 10 > /dev/null 2>&1 || [ $? -eq 3 ]
printf '{"items": [%s]}' "$(item second '"first"')" > ../more.json
agora submit ../more.json --extend grows > /dev/null
rm -f "$out"
agora backup "$out"
