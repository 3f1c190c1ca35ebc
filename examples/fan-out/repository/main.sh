# Counts the shop's fruit.
set -eu
. ./src/log.sh
for fruit in apples pears plums; do
  . "./src/$fruit.sh"
  "$fruit"
done
