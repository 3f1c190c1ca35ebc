# How many pears there are, and what they cost.
pears() {
  log "counting pears"
  echo "pears: 7 at 4"
  log "counted pears"
}
