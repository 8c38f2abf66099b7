"""What the live tests share is a module beside the tests, found by this path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
