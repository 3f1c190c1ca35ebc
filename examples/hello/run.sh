#!/usr/bin/env bash
# One item: a command gets a message and changes the workspace; the change comes back as a patch.
# Usage: run.sh [FOLDER]    FOLDER is new or empty; without it a temporary one is made, and its name is printed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"
find_programs "$here/../.."
make_folder "${1:-}"
echo "working in $folder"

make_repository "$here/repository" "$folder/hello"
export AGORA_HOME="$folder/home"
cd "$folder/hello"

# The configuration first: `init` keeps what it finds, and says of each target what it enforces.
mkdir -m 700 "$AGORA_HOME"
cp "$here/agora.toml" "$AGORA_HOME/agora.toml"
step agora-admin init
step agora-admin deploy --from "$here/agora.deploy.toml"
run=$(agora-admin --field run_id submit "$here/plan.json" --request-id hello)
echo
echo "the run is $run"
step agora-admin watch "$run"
step agora-admin result "$run" greet
step agora-admin apply "$run"
step git show --stat --format=medium "agora/$run"
step agora-admin audit "$run"

{
  echo "item: $(agora-admin --field state result "$run" greet)"
  echo "audit: $(agora-admin --field verdict audit "$run")"
  git log --format='%s%n%(trailers:only)' "main..agora/$run"
  git show "agora/$run:greeting.txt"
} > "$folder/found.txt"
compare "$here/expected.txt" "$folder/found.txt"
printf '\nAll of it held. The repository is %s, its new branch agora/%s.\n' "$folder/hello" "$run"
