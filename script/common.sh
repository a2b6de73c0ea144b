# shellcheck shell=bash
# What the scripts beside this file share. To be sourced, after `set -euo pipefail`.

# Where the checkout lies, whatever directory the caller is in, and whatever CDPATH they have exported.
# shellcheck disable=SC2034  # the scripts use it
root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

# `su` leaves the caller's PATH alone, and useradd lies where users do not look. Nor should a
# python3 or gpg of the caller's own be taken for Debian's.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Print the comment at the top of the calling script: its documentation is written once.
show_help() {
  sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
}

require_root() {
  ((EUID == 0)) || die "root is needed, because $1. Try: sudo script/${0##*/}"
}

# Turn a signal into an ordinary exit, so that one trap on EXIT takes everything away. A script
# that ignores signals meanwhile is not interrupted in that.
exit_on_signals() {
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 141' PIPE
  trap 'exit 143' TERM
}

ignore_signals() {
  trap '' HUP INT PIPE TERM
}

# Check the scripts, for script/check and script/test: one list, so that neither leaves one out.
lint_shell() {
  shellcheck --external-sources script/{common.sh,bootstrap,confine,check,debian,debian-tree,demo,demo-askpass,fuzz,install,test} .ci/run
}
