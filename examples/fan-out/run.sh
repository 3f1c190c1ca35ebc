#!/usr/bin/env bash
# Three edits side by side, and a check that sees all three: patches on a branch, and evidence that verifies.
# Usage: run.sh [FOLDER]    FOLDER is new or empty; without it a temporary one is made, and its name is printed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"
find_programs "$here/../.."
make_folder "${1:-}"
echo "working in $folder"

make_repository "$here/repository" "$folder/shop"
export AGORA_HOME="$folder/home"
cd "$folder/shop"
run=rename-log

# The configuration first: `init` keeps what it finds, and says of each target what it enforces.
mkdir -m 700 "$AGORA_HOME"
cp "$here/agora.toml" "$AGORA_HOME/agora.toml"
step agora-admin init
step agora-admin deploy --from "$here/agora.deploy.toml"
step agora-admin submit "$here/plan.json" --watch
step agora-admin status "$run"
step agora-admin result "$run"
step agora-admin result "$run" verify
step agora-admin apply "$run"
step git log --stat --format='%h %s%n%n%(trailers:only)' "main..agora/$run"
step git diff "main..agora/$run"
step agora-admin audit "$run" --out "$folder/bundle.json"
step agora-admin key trust-export --out "$folder/trust.toml"
# What an auditor elsewhere does, who has the policy by another way than the bundle.
step agora-verify "$folder/bundle.json" --policy "$folder/trust.toml" --require key-pinned --require whole-run
sed "s/edit-plums/edit-plumz/" "$folder/bundle.json" > "$folder/changed.json"

{
  for item in edit-apples edit-pears edit-plums verify; do
    echo "$item: $(agora-admin --field state result "$run" "$item")"
  done
  echo "audit: $(agora-admin --field verdict audit "$run")"
  echo "a changed bundle: exit code $(agora-verify "$folder/changed.json" > "$folder/changed.txt" && echo 0 || echo $?)"
  git log --reverse --format='%s%n%(trailers:only)' "main..agora/$run"
  git diff "main..agora/$run"
  agora-admin result "$run" verify --part output --path report.txt --out "$folder/report.txt" > "$folder/report.said"
  cat "$folder/report.txt"
} > "$folder/found.txt"
compare "$here/expected.txt" "$folder/found.txt"

# What the branch holds still runs, and prints what it printed.
git worktree add --quiet "$folder/applied" "agora/$run"
(cd "$folder/applied" && sh main.sh | cmp - expected-output.txt)
printf '\nAll of it held. The repository is %s, its new branch agora/%s.\n' "$folder/shop" "$run"
