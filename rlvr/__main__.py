"""``python -m rlvr``: the same program as the ``rlvr`` command."""

from rlvr.cli import main

if __name__ == "__main__":
    main()
