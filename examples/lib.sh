# What both examples share: the programs, a folder to work in, and how a step is shown. Sourced by run.sh, not run.

# Builds the programs, unless AGORA_BIN names a folder that holds them, and puts them first in PATH.
find_programs() {
  local root="$1" target
  if [ -z "${AGORA_BIN:-}" ]; then
    (cd "$root" && cargo build --quiet -p agora-admin -p agora-worker -p agora-jail -p agora-verify)
    target=$(cd "$root" && cargo metadata --no-deps --format-version 1 --offline |
      sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    AGORA_BIN="$target/debug"
  fi
  # Absolute: the steps are made in another folder.
  AGORA_BIN=$(cd -- "$AGORA_BIN" > /dev/null && pwd -P) || exit 1
  for program in agora-admin agora-worker agora-jail agora-verify; do
    [ -x "$AGORA_BIN/$program" ] || { echo "there is no $program in $AGORA_BIN" >&2; exit 1; }
  done
  PATH="$AGORA_BIN:$PATH"
}

# Makes the folder to work in: the one that was given, which has to be new or empty, or a temporary one.
make_folder() {
  local given="${1:-}"
  if [ -z "$given" ]; then
    folder=$(mktemp -d "${TMPDIR:-/tmp}/agora-example.XXXXXX")
  else
    mkdir -p "$given"
    folder=$(cd "$given" && pwd -P)
    [ -z "$(ls -A "$folder")" ] || { echo "$folder is not empty: give a new folder" >&2; exit 1; }
  fi
}

# Makes a git repository of the files in a folder. Nothing of the user's own git settings is used or changed.
make_repository() {
  local from="$1" to="$2"
  cp -R "$from" "$to"
  export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
  git -C "$to" init --quiet --initial-branch=main
  git -C "$to" add .
  git -C "$to" -c user.name=Example -c user.email=example@example.invalid commit --quiet -m "The shop as it was"
}

# Shows a command as one would type it, then does it.
step() {
  printf '\n$ %s\n' "$*"
  "$@"
}

# Compares what came out with expected.txt, after the digests that differ each time are taken out.
compare() {
  local expected="$1" found="$2"
  sed -E -e 's/sha256:[0-9a-f]{64}/sha256:DIGEST/g' -e "s|${run:-RUN}|RUN|g" "$found" > "$found.plain"
  diff -u "$expected" "$found.plain" || { echo "this is not what $expected says; see $folder" >&2; exit 1; }
}
