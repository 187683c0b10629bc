"""What has to be known of an accelerator, measured in one command of nine minutes.

A part is a file with ``measure(folder, tiny) -> Iterator[dict]``, run in a process of
its own: each row that it yields is written down at once, so that a part that fails or
runs out of time loses none. ``parts`` says which there are and in which order,
``summary`` what their numbers are held to. Needs jax, flax, optax, orbax, NumPy;
scikit-learn and PyTorch where they are.
"""
