# What the program says of itself. Every message has a level now; the old function is here until nobody calls it.
log_info() {
  echo "[info] $*"
}

log() {
  log_info "$*"
}
