# shellcheck shell=bash
# A user with a key, and an sshd on loopback whose PAM service asks for it. To be sourced.

readonly user=trex-test
work=$(mktemp -d)
export GNUPGHOME=$work/gnupg
cp -a /etc/pam.d "$work/pam.d"
cp -a /var/lib/pam "$work/pam"
also=() # what else a test needs

# In a test of autopkgtest's they are installed already.
install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  [[ ${PACKAGES-} ]] || return 0
  apt-get install -qq --no-install-recommends --allow-downgrades libpam-python openssh-client openssh-server sudo gpg-agent \
    "$PACKAGES"/libpam-trex_*.deb "$PACKAGES"/trex_*.deb "${also[@]}" >"$work/apt" 2>&1 </dev/null || {
    cat "$work/apt" >&2
    exit 1
  }
}

# Make $work/newer.deb: the package that is installed, with a higher version, and with what the command $1 changes in its
# files. Set `older` to it as it is.
make_newer() {
  if [[ ! ${PACKAGES-} ]]; then
    mkdir "$work/packed"
    (cd "$work/packed" && dpkg-repack libpam-trex) >/dev/null
    chmod 755 "$work"
  fi
  older=$(echo "${PACKAGES:-$work/packed}"/libpam-trex_*.deb)
  dpkg-deb -R "$older" "$work/newer"
  sed -i 's/^Version: .*/&.1/' "$work/newer/DEBIAN/control"
  (cd "$work/newer" && "$@")
  dpkg-deb -b "$work/newer" "$work/newer.deb" >/dev/null
  rm -r "$work/newer"
}

make_user() {
  useradd --create-home --shell /bin/bash "$user"
  install -d -m 700 "$GNUPGHOME"
  gpg --batch --quiet --passphrase '' --quick-generate-key "$user@example.org" future-default default 1y
  gpg --armor --export "$user@example.org" >"$work/login.asc"
  chmod 755 "$work"
  trex enroll --user "$user" --key "$work/login.asc" --yes
}

# Have sshd ask through the module $1, on a port that is free: whoever takes it first, another one is tried.
start_sshd() {
  local _
  printf '%s\n' "auth required $1" "account required pam_permit.so" "session required pam_permit.so" >/etc/pam.d/sshd
  mkdir -p /run/sshd
  ssh-keygen -q -A
  for _ in {1..5}; do
    port=$(/usr/bin/python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
    rm -f "$work/sshd.log"
    /usr/sbin/sshd -D -e -p "$port" -o ListenAddress=127.0.0.1 -o UsePAM=yes -o KbdInteractiveAuthentication=yes \
      -o PasswordAuthentication=no -o AuthenticationMethods=keyboard-interactive:pam -o LoginGraceTime=600 2>"$work/sshd.log" &
    sshd=$!
    if listens; then
      ssh-keyscan -T 60 -p "$port" 127.0.0.1 >"$work/known" 2>/dev/null
      return
    fi
  done
  cat "$work/sshd.log" >&2
  exit 1
}

# Wait until sshd listens. It ends where it cannot.
listens() {
  local _
  for _ in {1..600}; do
    if grep --quiet --no-messages '^Server listening on' "$work/sshd.log"; then return; fi
    kill -0 "$sshd" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

stop_sshd() {
  kill "$sshd"
  wait "$sshd" || true
}

# Log in with the program $1 as ssh, and run `id -un` there.
log_in() {
  "$1" -p "$port" -o UserKnownHostsFile="$work/known" -o StrictHostKeyChecking=yes -o NumberOfPasswordPrompts=1 \
    "$user@127.0.0.1" id -un </dev/null
}

clean_up() {
  gpgconf --kill all || true
  if [[ ${sshd-} ]]; then kill "$sshd" 2>/dev/null || true; fi
  cp -a "$work/pam.d/." /etc/pam.d
  cp -a "$work/pam/." /var/lib/pam
  userdel --remove --force "$user" 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT
