# Checks the work of all who were before it: no file calls the old function, and the program prints what it printed.
# Reads its task from standard input: old=NAME, and file=PATH for each file.
set -eu
report="$AGORA_OUTPUTS/report.txt"
red=0
while IFS='=' read -r key value; do
  case "$key" in
    old) old=$value ;;
    file)
      if grep -q "^[[:space:]]*$old " "$value"; then
        echo "$value still calls $old" >> "$report"
        red=1
      else
        echo "$value is done" >> "$report"
      fi
      ;;
  esac
done
if sh main.sh | cmp -s - expected-output.txt; then
  echo "main.sh prints what it printed before" >> "$report"
else
  echo "main.sh prints something else" >> "$report"
  red=1
fi
cat "$report"
exit "$red"
