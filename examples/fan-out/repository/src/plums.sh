# How many plums there are, and what they cost.
plums() {
  log "counting plums"
  echo "plums: 30 at 1"
  log "counted plums"
}
