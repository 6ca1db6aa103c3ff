"""argv: write what the documents have from the sources."""

import argparse

from olive_docs import reference, rights, screens


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python hack/docs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("reference", help="write docs/reference/ from the CRDs")
    commands.add_parser("screens", help="draw docs/pictures/*.svg by what kubectl olive draws with")
    commands.add_parser("rights", help="write the operator's rights into docs/security.md")
    match parser.parse_args().command:
        case "reference":
            reference.write()
        case "rights":
            rights.write()
        case "screens":
            screens.write()
