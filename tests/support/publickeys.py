"""Public keys whose secret parts nobody has; fixtures/keys has them as gpg exported them."""

from __future__ import annotations

from pathlib import Path

KEYS = Path(__file__).resolve().parents[2] / "fixtures/keys"
ALICE = "152E95924EA217AD388EC6DF47FCC226742826FE"  # two-subkeys; one-revoked: without SECOND
FIRST = "7CC70741C24AC335456A5B4A551F35DB45E53261"
SECOND = "50229A153E8777C38EB9E550E32DC4A34BCA5FFD"
BOB = "BF37976F956EF9DA5E141C853D83D1AE75D2FE06"  # until-2099: so long has its one subkey
ENDS = 4_083_998_400  # 2099-06-01
DAVE = "98EAF03582034B2896CD4CB2140BE2503A02EBB3"  # until-may-2099: a day less
CAROL = "8A45C0BED13157D466D3FC37CBA4DF2665391B26"  # expired: its one subkey is


def exported(*names: str) -> bytes:
    """Return these keys, one after another: also a keyring of GnuPG's first format."""
    return b"".join((KEYS / name).read_bytes() for name in names)


def keyring(home: Path, *names: str) -> Path:
    """Make a gpg home of these keys, or give one other keys."""
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "new").write_bytes(exported(*names))
    (home / "new").chmod(0o600)
    (home / "new").rename(home / "pubring.gpg")
    return home
