"""`python -m xasnn_stream.training.study`: runs the comparison of architectures."""

import sys

from xasnn_stream.training.study.command import main

sys.exit(main())
