"""``python -m rlvr``: the same program as the ``rlvr`` command."""

import os
import sys

# Python would look for every module in the folder it was started from first; this package's own is the only one it may.
if not sys.flags.safe_path and sys.path[0] != os.path.dirname(os.path.dirname(os.path.abspath(__file__))):
    del sys.path[0]

from rlvr.cli import main

if __name__ == "__main__":
    main()
