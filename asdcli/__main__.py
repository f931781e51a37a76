"""`python -m asdcli` is `asd`."""

from asdcli.cli.app import main

main()
