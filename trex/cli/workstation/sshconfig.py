"""What `trex setup` puts into ssh's configuration: plain ssh then records each host key.

`trex ssh` does so by an option (`trex.cli.client.connection`). Here an Include file sets
KnownHostsCommand, and a script of ours records the key under the name of the ssh that runs it.

The block is at the end, for all hosts: ssh takes the first value that it finds (ssh_config(5)), so
whatever the user has set stays as it is, a KnownHostsCommand of their own too.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trex.cli.client.connection import RECORDER, SETTING, SINCE
from trex.cli.client.openssh import version_and_settings
from trex.cli.workstation.dotfile import (
    PRIVATE,
    Change,
    has_block,
    read_dotfile,
    with_block,
    without_block,
)
from trex.cli.workstation.session import OURS, Surroundings, change_of_ours

if TYPE_CHECKING:
    from collections.abc import Iterator

NOWHERE = "trex.invalid"  # RFC 2606: no host; its settings are those of every host
# The names are those of `trex.cli.client.processes`, the place that of `recorded_keys`. The key of
# an ssh that has ended is removed: an ssh that asks nothing leaves one, too. A file without a key
# says that there was no room for it (`trex.cli.client.connection`).
RECORD = f"""\
{OURS}
# ssh runs this with the fingerprint of a connection's host key (KnownHostsCommand in
# ssh_config(5)); trex-askpass compares it with the one in the challenge. It prints nothing.
case $1 in
    SHA256:*) ;;
    *) exit 0 ;;
esac
key=$1
case ${{XDG_STATE_HOME-}} in
    /*) directory=$XDG_STATE_HOME/trex/connections ;;
    *) directory=$HOME/.local/state/trex/connections ;;
esac
read -r status 2>/dev/null <"/proc/$PPID/stat" || exit 0
read -r boot 2>/dev/null </proc/sys/kernel/random/boot_id || exit 0
processes=$(stat -Lc %i /proc/self/ns/pid 2>/dev/null) || exit 0
set -- ${{status##*) }}
here="${{boot}}-$processes"
umask 077
mkdir -p "$directory" && [ -O "$directory" ] || exit 0
printf '%s\\n' "$key" 2>/dev/null >>"$directory/$PPID-${{20}}@$here"
for record in "$directory"/*"@$here"; do
    name=${{record##*/}}
    [ -d "/proc/${{name%%-*}}" ] || rm -f "$record"
done
"""
INCLUDED = f"""\
{OURS}
IgnoreUnknown {SETTING}
KnownHostsCommand /bin/sh "SCRIPT" %f
"""


def changes(around: Surroundings, ssh: str) -> Iterator[Change]:
    """Yield what has to change so that each ssh records its host key, nothing if it cannot."""
    if not _is_possible(around, ssh):
        return
    text = INCLUDED.replace("SCRIPT", _script(around))
    yield change_of_ours(_script(around), RECORD.encode())
    yield change_of_ours(_included(around), text.encode())
    path = _config(around)
    before = read_dotfile(path)
    lines = ["Match all", f'    Include "{_included(around)}"']
    yield Change(path, before, with_block(before, lines), PRIVATE)


def undoing(around: Surroundings) -> Iterator[Change]:
    """Yield what has to change so that nothing of it is left."""
    for path in (_script(around), _included(around)):
        if os.path.lexists(path):
            yield change_of_ours(path, None)
    if has_block(_config(around)):
        before = read_dotfile(_config(around))
        yield Change(_config(around), before, without_block(before), PRIVATE)


def _is_possible(around: Surroundings, ssh: str) -> bool:
    """Return whether this ssh has the setting, and nobody else has set it for every host."""
    version, settings = version_and_settings(ssh, [NOWHERE])
    command = settings.get(SETTING, "none")
    return version >= SINCE and (command == "none" or _script(around) in command)


def _config(around: Surroundings) -> str:
    return f"{around.home}/.ssh/config"


def _script(around: Surroundings) -> str:
    return f"{around.settings}/trex/{RECORDER}"


def _included(around: Surroundings) -> str:
    return f"{around.settings}/trex/ssh_config"
