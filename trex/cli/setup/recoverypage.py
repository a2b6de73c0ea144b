"""Recovery codes as an HTML page to print: one file, with no script and nothing from elsewhere."""

from __future__ import annotations

import time
from html import escape

from trex.recovery.codes import in_groups

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Recovery codes of {user} at {host}</title>
<style>
@page {{ margin: 20mm }}
body {{ max-width: 42rem; margin: 2rem auto; padding: 0 1rem; color: #000; background: #fff;
       font: 12pt/1.45 sans-serif }}
h1 {{ font-size: 1.5em; margin: 0 }}
ol {{ columns: 2; column-gap: 2rem; padding: 0; margin: 1.5rem 0; list-style: none;
     counter-reset: code }}
li {{ counter-increment: code; break-inside: avoid; padding: .5rem 0; white-space: nowrap;
     border-bottom: 1px solid #888; font: 14pt monospace }}
li::before {{ content: counter(code); display: inline-block; width: 2em; color: #555 }}
@media (max-width: 36rem) {{ ol {{ columns: 1 }} }}
@media print {{ .screen {{ display: none }} body {{ margin: 0 auto }} }}
</style>
</head>
<body>
<h1>Recovery codes</h1>
<p>For <strong>{user}</strong> at <strong>{host}</strong>, made on {day}.</p>
<p class="screen">Print this page, then delete the file: whoever has it can log in.</p>
<ol>
{codes}
</ol>
<p>Each code lets you in once, without your key. Cross it out then.</p>
<p>Log in as always. Press Enter where a response to the challenge is asked for. At
<strong>Recovery code:</strong> type one of these. Capital letters, dashes and blanks make no
difference. None has the letters I, L, O or U.</p>
<p>Keep this sheet as you would keep a key to the house, and not beside the computer with your
OpenPGP key. If it is lost, or if you are told of a code that you did not use, make new ones: all of
these are void then.</p>
</body>
</html>
"""


def page_of(codes: list[str], user: str, host: str) -> str:
    """Return the page."""
    items = "\n".join(f"<li>{in_groups(code)}</li>" for code in codes)
    day = time.strftime("%Y-%m-%d")
    return PAGE.format(user=escape(user), host=escape(host), day=day, codes=items)
