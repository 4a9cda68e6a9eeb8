"""`xasnn-stream schema`: JSON Schemas of what people write and programs read."""

import argparse
import json


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("schema", help="print a JSON Schema")
    parser.add_argument("name", choices=("profile", "estimate"), help="of what")
    parser.add_argument(
        "--markdown", action="store_true", help="as a page of tables instead"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    from xasnn_stream.schema import markdown, schema

    if arguments.markdown:
        print(markdown(arguments.name), end="")
    else:
        print(json.dumps(schema(arguments.name), indent=1))
    return 0
