# Renames a shell function where it is called in one file. Reads its task from standard input:
#   file=PATH   from=NAME   to=NAME
set -eu
while IFS='=' read -r key value; do
  case "$key" in
    file) file=$value ;;
    from) from=$value ;;
    to) to=$value ;;
  esac
done
# Names only: what is put into the pattern below can mean nothing else.
case "$from$to" in *[!A-Za-z0-9_]*) echo "not a function's name" >&2; exit 2 ;; esac

new=$(mktemp)
sed "s/^\([[:space:]]*\)$from /\1$to /" "$file" > "$new"
if cmp -s "$new" "$file"; then
  echo "$file does not call $from" >&2
  exit 1
fi
# Into the file that is there, so that it keeps its mode.
cat "$new" > "$file"
rm "$new"
echo "renamed $from to $to in $file"
