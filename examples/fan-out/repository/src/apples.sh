# How many apples there are, and what they cost.
apples() {
  log "counting apples"
  echo "apples: 12 at 3"
  log "counted apples"
}
