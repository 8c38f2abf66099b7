"""The tables of defects and what they share are modules beside the tests, found by this path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
