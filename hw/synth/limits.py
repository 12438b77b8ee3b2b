"""What each block may cost, in limits.json: figures that may fall and not rise.

For every build and block the rules' figures of netlist.py, as measured when they were last lowered. `over` says which a netlist exceeds,
`lowered` makes those smaller that it stays below. Nothing here raises one: that is an edit of limits.json that a reviewer sees.
"""

import json
import pathlib

FILE = pathlib.Path(__file__).with_name("limits.json")

# Of the whole chip: with little above these a placer still finds room for short wires.
BUDGET = {"dsp": 2520, "bram36": 800, "lut": 200_000, "ff": 400_000}

NUMBERS = {
    "levels": "levels of logic",
    "ends_over": "ends of paths deeper than the aim",
    "longest_carry": "bits of the longest carry chain",
    "registers_over": "registers with more readers than the aim",
    "logic_readers": "readers of the net of logic with most",
    "logic_over": "nets of logic with more readers than that",
    "dsps_short": "DSPs with a register unused",
    "block_rams_short": "block RAMs whose output register is unused",
}


def load():
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def figures(result):
    """What is limited of one block's result."""
    return {**{name: result[name] for name in NUMBERS}, "wide_resets": dict(result["wide_resets"])}


def over(limits, result):
    """A line for each limit that a block exceeds."""
    lines = []
    for name, what in NUMBERS.items():
        if result[name] > limits[name]:
            lines.append(f"{what}: {result[name]}, {limits[name]} allowed")
    for register, bits in result["wide_resets"].items():
        if bits > limits["wide_resets"].get(register, 0):
            lines.append(f"reset of a wide register: {register}, {bits} bits")
    return lines


def lowered(limits, result):
    """Limits with everything lowered to what a block has; the block's own where it had none."""
    if limits is None:
        return figures(result)
    now = figures(result)
    registers = {name: min(bits, now["wide_resets"][name]) for name, bits in limits["wide_resets"].items() if name in now["wide_resets"]}
    return {**{name: min(limits[name], now[name]) for name in NUMBERS}, "wide_resets": registers}


def save(all_limits):
    FILE.write_text(json.dumps(all_limits, indent=1, sort_keys=True) + "\n")
