"""Time from pam_authenticate to the prompt, and memory while it is open, side by side in one run.

    sudo /usr/bin/python3 -m benchmarks.time_to_prompt [--rounds 150]

Trex against what any such module must cost: a bare pam_python module that only prompts, plus one
`gpg --encrypt` of the same message. The C client stops its clock in the conversation function.
Exits with 1 if the ratio of the medians is above LIMIT.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from tests import sandbox
from tests.keys import Holder

LIMIT = 1.15
MEMORY_ROUNDS = 5
BARE = """\
def pam_sm_authenticate(pamh, flags, argv):
    pamh.conversation(pamh.Message(pamh.PAM_PROMPT_ECHO_ON, "Response: "))
    return pamh.PAM_AUTH_ERR
"""


def main() -> int:
    """Set up a user, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=150)
    rounds = parser.parse_args().rounds
    sandbox.enter()
    place = sandbox.PLACE
    client = sandbox.build_pam_client(place)
    holder = Holder(place / "client")
    user = sandbox.Account("bench")
    fingerprint = holder.make("bench@example.org")
    user.import_keys(holder.public(fingerprint))
    holder.close()
    user.write(f"{fingerprint} trust nosign\n")
    (place / "bare.py").write_text(BARE, encoding="utf-8")
    sandbox.pam_service("bench-bare", f"auth required pam_python.so {place}/bare.py")
    sandbox.trex_service("bench-trex")
    figures = measure(client, user, fingerprint, rounds)
    return report(figures)


def measure(client: Path, user: sandbox.Account, key: str, rounds: int) -> dict[str, list[float]]:
    """Return milliseconds and kilobytes; the rounds of all are interleaved.

    The lone gpg is started while the bare module's prompt is open: by a process in the state that
    it has in a login too, on processors as warm as they are then.
    """
    figures: dict[str, list[float]] = {
        name: [] for name in ("bare", "gpg", "trex", "bare kB", "trex kB")
    }
    encrypt = [
        "/usr/bin/gpg", "--batch", "--quiet", "--homedir", str(user.gnupg), "--trust-model",
        "always", "--armor", "--encrypt", "--recipient", key,
    ]  # fmt: skip
    run_as = ("--run-as", f"{user.uid}:{user.gid}")
    for number in range(rounds + 1):
        if number % 2:  # take turns in going first
            trex = sandbox.ask_pam(client, "bench-trex", user.name)
        bare = sandbox.ask_pam(client, "bench-bare", user.name, *run_as, then=encrypt)
        if not number % 2:
            trex = sandbox.ask_pam(client, "bench-trex", user.name)
        if number == 0:  # it fills the caches
            continue
        figures["bare"].append(bare.numbers("prompt-us")[0] / 1000)
        figures["gpg"].append(bare.numbers("run-us")[0] / 1000)
        figures["trex"].append(trex.numbers("prompt-us")[0] / 1000)
    for _ in range(MEMORY_ROUNDS):  # apart: to count the pages takes longer than gpg
        for name in ("bare", "trex"):
            asked = sandbox.ask_pam(client, f"bench-{name}", user.name, "--memory")
            figures[f"{name} kB"].append(asked.numbers("private-dirty-kb")[0])
    return figures


def report(figures: dict[str, list[float]]) -> int:
    """Print the table; return an exit status."""
    median = {name: statistics.median(values) for name, values in figures.items()}
    for name, values in figures.items():
        low, _, high = statistics.quantiles(values, n=4)
        print(f"{name:8} median {median[name]:9.2f}   quartiles {low:9.2f} {high:9.2f}")
    ratio = median["trex"] / (median["bare"] + median["gpg"])
    print(f"time to the prompt: {ratio:.3f} of bare + gpg (at most {LIMIT})")
    print(f"private dirty memory: {median['trex kB'] - median['bare kB']:+.0f} kB over bare")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
