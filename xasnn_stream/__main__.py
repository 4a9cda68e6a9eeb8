"""`python -m xasnn_stream` is the command `xasnn-stream`."""

import sys

from xasnn_stream.cli.main import main

sys.exit(main())
