"""`python -m xasnn_stream.simulation`: runs a simulated or recorded beamline."""

import sys

from xasnn_stream.simulation.command import main

sys.exit(main())
