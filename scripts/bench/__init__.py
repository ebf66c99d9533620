"""What ``scripts/bench_rollout.py`` and ``scripts/bench_rl.py`` share, and the sides that they measure.

Each side is a process of its own, in the environment that it needs: ``ours_rollout``, ``ours_rl``, ``peer_transformers``,
``peer_vllm``, ``peer_trl``, and ``matmul`` for what the machine itself can do. ``rounds`` starts them and asks them in turn.
"""
