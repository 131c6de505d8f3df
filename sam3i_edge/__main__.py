"""``python -m sam3i_edge``."""

import sys

from sam3i_edge.cli import main

sys.exit(main())
