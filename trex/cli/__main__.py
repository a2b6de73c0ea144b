"""`python3 -m trex.cli` is the command, too."""

from trex.cli.main import main

main()
