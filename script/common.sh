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

# For everything in C: whatever the host has as cc, unless CC names another.
readonly compiler=${CC:-cc}

has_compiler() {
  command -v "$compiler" >/dev/null
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

# Build pam_trex.so as the file $1, with the helper $2 and the interpreter $3.
build_door() {
  # A warning of a compiler that nobody has tried yet is no reason to have no door.
  local flags=("@$root/native/flags" -Wno-error)
  case $("$compiler" -dumpmachine) in
    x86_64-* | i?86-*) flags+=(-fcf-protection) ;;
    aarch64-*) flags+=(-mbranch-protection=standard) ;;
  esac
  # CFLAGS and LDFLAGS are lists of words.
  # shellcheck disable=SC2086
  "$compiler" "${flags[@]}" -DHELPER="\"$2\"" -DPYTHON="\"$3\"" ${CFLAGS-} \
    ${LDFLAGS-} -o "$1" "$root/native/pam_trex.c" -lpam &&
    chmod 0644 "$1"
}

# Check the scripts, for script/check and script/test: one list, so that neither leaves one out.
lint_shell() {
  shellcheck --external-sources script/{common.sh,bootstrap,confine,check,debian,debian-tree,demo,demo-askpass,fuzz,install,package,release,screenshots,test} .ci/run
  shellcheck --external-sources debian/tests/{common.sh,checkout,login,upgrade,removal} debian/libpam-trex.{postinst,prerm,postrm} debian/trex.prerm
}

# Check everything in C by two compilers' analysers and by cppcheck, alike for both scripts.
lint_c() {
  local sources source wrong=0 options=(-std=gnu17 -Wall -Wextra -Werror '-DFILE_NAME=""') # clock.c's
  mapfile -t sources < <(find native tests fuzz script -name '*.c' | sort)
  ((${#sources[@]})) || die "there is nothing in C"
  for source in "${sources[@]}"; do
    # gcc 14 takes what dup2(2) places for a leak.
    gcc "${options[@]}" -O2 -fanalyzer -Wno-analyzer-fd-leak -c -o /dev/null "$source" || wrong=1
    clang "${options[@]}" --analyze -Xclang -analyzer-werror -o /dev/null "$source" || wrong=1
  done
  # Not of trex-confine.c: cppcheck does not know variables in named registers. The two are no faults: how
  # deep it has looked, and what a type of sigaction(2)'s needs.
  mapfile -t sources < <(printf '%s\n' "${sources[@]}" | grep -v trex-confine)
  cppcheck --quiet --enable=warning,style,performance,portability --error-exitcode=1 \
    --suppress={normalCheckLevelMaxBranches,constParameterCallback} "${sources[@]}" || wrong=1
  return "$wrong"
}
