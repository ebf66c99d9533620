"""``rlvr inspect`` in a terminal. Textual is imported here and nowhere else."""
