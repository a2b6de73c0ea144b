"""`~/.auth_gpg`: each fixture says in its own comments what is to come of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.accounts import SOMEBODY
from trex.errors import FileUnsafe, OtherAccount, RecordError, TrexError
from trex.openpgp.record import (
    QR_MODES,
    TERMINAL_QR_MODES,
    WEB_QR_MODES,
    AuthRecord,
    check_account,
    parse_record,
)

RECORDS = Path(__file__).resolve().parents[3] / "fixtures/records"
REFUSED = sorted((RECORDS / "refused").iterdir())
ACCEPTED = sorted((RECORDS / "accepted").iterdir())
PATH = "/home/alice/.auth_gpg"
HOME = "/home/alice"
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("fixture", REFUSED, ids=name)
def test_a_defect_is_refused_and_says_where_what_and_what_was_expected(fixture: Path) -> None:
    """Advisory pam_usb CVE-2026-44712 among them: options and shell words as recipients."""
    content = fixture.read_bytes()
    expected = re.match(rb"# refused: (.*)", content)
    assert expected, "the fixture says what it expects"
    with pytest.raises((RecordError, FileUnsafe)) as caught:
        parse_record(content, PATH, HOME)
    text = expected[1].decode().removesuffix("...")
    assert str(caught.value).startswith(f"{PATH}:{text}")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("fixture", ACCEPTED, ids=name)
def test_a_sound_record_is_read_as_its_comments_say(fixture: Path) -> None:
    content = fixture.read_bytes()
    record = parse_record(content, PATH, HOME)
    expected = dict(re.findall(r"#: (\w+) = (.*?)\r?\n", content.decode("utf-8-sig")))
    assert ",".join(record.recipients) == expected["recipients"]
    assert str(record.trust) == expected["trust"]
    assert record.sign_as == expected["sign_as"].strip()
    assert web_in_words(record) == expected.get("web", "none")
    assert record.terminal_qr == expected.get("terminal", "")
    assert record.tls_key == expected.get("tls_key", "")
    assert record.tls_certificate == expected.get("tls_certificate", "")
    assert str(record.uid) == expected.get("uid", "None")
    assert str(record.leaves_out) == expected.get("leaves_out", "False")
    assert str(record.needed) == expected.get("needed", "1")
    assert len(record.warnings) == int("warning" in expected)
    assert expected.get("warning", "") in "".join(record.warnings)


def web_in_words(record: AuthRecord) -> str:
    if record.web_qr is None:
        return "none"
    words = ["auth" if record.web_qr.authentication else "noauth"]
    return " ".join([*words, "tls" if record.web_qr.tls else "notls"])


def test_no_content_of_an_unsuitable_file_is_shown_at_length() -> None:
    """Advisory CVE-2019-12209: a line of some other file must not be copied into the log."""
    content = b"root:$y$j9T$" + b"s" * 500 + b":19000:0:99999:7:::\n"
    with pytest.raises(RecordError) as caught:
        parse_record(content, PATH, HOME)
    assert "root:" not in str(caught.value)


@given(st.binary(max_size=300))
@settings(max_examples=1000, deadline=None)
def test_any_bytes_give_a_record_or_a_trex_error(content: bytes) -> None:
    try:
        record = parse_record(content, PATH, HOME)
    except TrexError as error:
        assert str(error).startswith(PATH)
    else:
        assert record.recipients


@given(st.text(max_size=200))
@settings(max_examples=1000, deadline=None)
def test_no_text_brings_an_option_or_a_second_line_to_gpg(text: str) -> None:
    try:
        record = parse_record(text.encode("utf-8", "surrogatepass"), PATH, HOME)
    except TrexError:
        return
    for key in [*record.recipients, record.sign_as]:
        assert not key.startswith("-")
        assert key.isprintable()
        assert not set(key) & set('<>"\\ ,;')


ADDRESSES = st.from_regex(r"[a-z0-9.+_]{1,20}@[a-z0-9]{1,10}(\.[a-z]{2,5}){1,2}", fullmatch=True)
FINGERPRINTS = st.from_regex(r"[0-9A-F]{40}", fullmatch=True)
KEYS = ADDRESSES | FINGERPRINTS


@given(
    recipients=st.lists(KEYS, min_size=1, max_size=16),
    trust=st.booleans(),
    sign_as=st.just("") | KEYS,
    mode=st.sampled_from(["", *QR_MODES]),
    gap=st.sampled_from([" ", "\t", "  \t "]),
    comments=st.lists(st.sampled_from(["", "# note", "  # note", "\t"]), max_size=4),
)
def test_a_record_written_down_is_read_back(
    *, recipients: list[str], trust: bool, sign_as: str, mode: str, gap: str, comments: list[str]
) -> None:
    fields = [",".join(recipients), "trust" if trust else "notrust", sign_as or "nosign"]
    line = gap.join([*fields, mode] if mode else fields)
    record = parse_record("\n".join([*comments, line, ""]).encode(), PATH, HOME)
    assert record.line == len(comments) + 1
    assert record.recipients == recipients
    assert record.trust is trust
    assert record.sign_as == sign_as
    assert record.web_qr is WEB_QR_MODES.get(mode)
    assert record.terminal_qr == TERMINAL_QR_MODES.get(mode, "")
    assert record.warnings == []


def test_the_longest_address() -> None:
    longest = "a" * (254 - len("@example.org")) + "@example.org"
    assert parse_record(f"{longest} trust nosign\n".encode(), "/r", "/h").recipients == [longest]
    with pytest.raises(RecordError):
        parse_record(f"a{longest} trust nosign\n".encode(), "/r", "/h")


@pytest.mark.parametrize(
    "address",
    ["a@-b.org", "a@b.-org", "a@b..org", "a@.org", "a@b_c.org", "a@b%c.org", "a@b.org.", "a@"],
)
def test_a_domain_s_labels(address: str) -> None:
    with pytest.raises(RecordError):
        parse_record(f"{address} trust nosign\n".encode(), "/r", "/h")


@pytest.mark.parametrize(
    ("note", "is_right"),
    [("", True), (f"# trex: uid={SOMEBODY.uid}\n", True), ("# trex: uid=54322\n", False),
     ("# trex: uid=0\n", False)],
)  # fmt: skip
def test_a_record_is_for_the_uid_that_it_names(note: str, is_right: bool) -> None:
    """Root's, too, which is no missing number."""
    record = parse_record(f"{note}a@example.org trust nosign\n".encode(), "/r", "/h")
    if is_right:
        check_account(record, "/r", SOMEBODY)
    else:
        with pytest.raises(OtherAccount):
            check_account(record, "/r", SOMEBODY)
