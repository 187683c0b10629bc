"""python -m aejax.data list | prepare NAME [--from DIR]"""

import argparse
import sys

from aejax import config, data
from aejax.data import catalogue, prepared


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m aejax.data", description=data.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="data sets by name, and whether they are ready")
    one = commands.add_parser("prepare", help="write a TFDS data set to disk, once")
    one.add_argument("name")
    one.add_argument("--from", dest="source", metavar="DIR", help="of original files")
    args = parser.parse_args(argv)
    try:
        if args.command == "list":
            _list()
        else:
            from aejax.data import prepare

            print(f"{args.name}: {prepare.prepare(args.name, args.source)}")
    except (config.InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _list() -> None:
    for name, shape, likelihood, splits, note in data.describe():
        is_embedded = catalogue.ENTRIES[name].needs in ("", "nothing")
        ready = "ready" if is_embedded or prepared.find(name) else "not prepared"
        line = f"{name:16} {ready:13} {'x'.join(map(str, shape)):8} {likelihood:9}"
        print(line, splits, note, sep="  ")


if __name__ == "__main__":
    sys.exit(main())
