"""The parts in their order, most important first, and the seconds each may take."""

from typing import NamedTuple


class Part(NamedTuple):
    """A file of this package; ``seconds`` end it, however far it is."""

    name: str
    seconds: int
    about: str


DEADLINE = 530  # seconds of all parts together; those that are left then are not begun
LEAST = 15  # seconds for which no part is worth beginning

PARTS = (
    Part("devices", 40, "devices, memory, versions"),
    Part("gradients", 60, "losses and gradients against the CPU's"),
    Part("members", 110, "1 to 1,024 members against one"),
    Part("suite", 150, "the benchmark's accelerator suite beside PyTorch"),
    Part("resume", 80, "a stopped and resumed sweep, bit for bit"),
    Part("profile", 50, "share of device time in matrix products"),
    Part("precision", 60, "tf32 and bf16 against float32"),
    Part("convolution", 50, "lax.conv against patches under vmap"),
    Part(
        "memory", 60, "members vmapped by themselves, and memory against its estimate"
    ),
)
