"""What can be read off a netlist of Xilinx cells: cells, levels of logic, rules.

The rules stand in for a timing that no open tool gives: few levels between registers, short carry chains, registers inside of DSPs and
block RAMs in use, few readers of a register, no reset of wide registers, no path from one clock to another but through cells made for it (crossings.py), neither
latches nor asynchronous resets nor loops.

The netlist is what Yosys' `write_json` gives for one flat module. Timing is not known to any open tool for UltraScale+, so
paths are measured in levels: a LUT or a read of distributed RAM is one, a chain of carry cells one as a whole, MUXF7 to MUXF9 none.
"""

import collections
import re

# What the RTL aims at: levels between two registers, bits of a carry chain, readers of a register, bits of a register with a reset.
MAX_LEVELS = 6
MAX_CARRY = 32
MAX_READERS = 64
MAX_RESET = 32

CLOCKS = ("C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK")
# pins that say whether a register or a memory does something, not what
CONTROLS = ("CE", "R", "S", "WE", "ENARDEN", "ENBWREN", "WEBWE", "WEA")

LUT = {f"LUT{n}" for n in range(1, 7)} | {"INV", "LUT6_2"}
CARRY = {"CARRY4", "CARRY8"}
WIDE_MUX = {"MUXF7", "MUXF8", "MUXF9"}
FLIP_FLOP = {"FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1"}
SHIFT = {"SRL16E", "SRLC16E", "SRLC32E"}
LATCH = {"LDCE", "LDPE"}
DISTRIBUTED = ("RAM32", "RAM64", "RAM128", "RAM256", "RAM512")
BLOCK_RAM = {"RAMB36E2": 1.0, "RAMB18E2": 0.5, "RAMB36E1": 1.0, "RAMB18E1": 0.5}
# LUTs that a cell of distributed RAM takes, by the end of its name
RAM_LUTS = {"RAM32M16": 8, "RAM32M": 4, "RAM64M8": 8, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4,
            "RAM32X1S": 1, "RAM64X1S": 1, "RAM64X8SW": 8, "RAM256X1D": 8, "RAM512X1S": 8}

OUTPUTS = {
    "Q", "O", "CO", "Q15", "Q31", "P", "PCOUT", "ACOUT", "BCOUT", "CARRYOUT", "CARRYCASCOUT", "MULTSIGNOUT",
    "PATTERNDETECT", "PATTERNBDETECT", "OVERFLOW", "UNDERFLOW", "XOROUT", "SPO", "DPO",
    "DOA", "DOB", "DOC", "DOD", "DOE", "DOF", "DOG", "DOH",
}


def is_clock(kind, port):
    """C is the clock of a flip-flop and an operand of a DSP."""
    return port in CLOCKS and (kind, port) != ("DSP48E2", "C")


def is_distributed(kind):
    return kind.startswith(DISTRIBUTED)


def is_output(kind, port):
    if kind in BLOCK_RAM:
        return port.startswith(("DOUT", "DO", "CASDOUT", "DBITERR", "SBITERR", "ECCPARITY", "RDADDRECC"))
    return port in OUTPUTS


class Netlist:
    """One flat module, indexed by bits."""

    def __init__(self, module):
        self.cells = module["cells"]
        self.ports = module["ports"]
        self.names = {}
        for name, net in module["netnames"].items():
            for i, bit in enumerate(net["bits"]):
                label = f"{name}[{i}]" if len(net["bits"]) > 1 else name
                # a name from the source rather than one that Yosys made
                if bit not in self.names or (net["hide_name"] == 0 and self.names[bit].startswith("$")):
                    self.names[bit] = label
        self.port_bits = {bit for port in self.ports.values() for bit in port["bits"]}
        self.driver = {}
        self.readers = collections.defaultdict(list)
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                output = is_output(cell["type"], port)
                for i, bit in enumerate(bits):
                    if isinstance(bit, str):
                        continue
                    if output:
                        self.driver[bit] = (name, port, i)
                    else:
                        self.readers[bit].append((name, port, i))

    def kind(self, cell):
        return self.cells[cell]["type"]

    def count(self):
        return collections.Counter(cell["type"] for cell in self.cells.values())

    def parameter(self, cell, name):
        value = self.cells[cell]["parameters"].get(name, 0)
        return int(value, 2) if isinstance(value, str) and set(value) <= {"0", "1"} else value


def resources(netlist):
    """The figures of the table. Shift registers and distributed RAM are LUTs too."""
    count = netlist.count()
    memory = sum(RAM_LUTS.get(kind, 8) * n for kind, n in count.items() if is_distributed(kind))
    memory += sum(n for kind, n in count.items() if kind in SHIFT)
    # inverters go into the LUTs that read them
    logic = sum(n for kind, n in count.items() if kind in LUT and kind != "INV")
    return {
        "dsp": count["DSP48E2"],
        "bram36": sum(blocks * count[kind] for kind, blocks in BLOCK_RAM.items()),
        "lut": logic + memory,
        "lut_memory": memory,
        "ff": sum(n for kind, n in count.items() if kind in FLIP_FLOP),
    }


def _combinational(netlist, cell):
    kind = netlist.kind(cell)
    return kind in LUT or kind in CARRY or kind in WIDE_MUX or is_distributed(kind)


def _reads(kind, port):
    """Whether an input of a combinational cell reaches its outputs in the same cycle: of distributed RAM only addresses do."""
    return not is_distributed(kind) or (port.startswith(("ADDR", "A", "DPRA")))


def _inputs(netlist, cell):
    """Bits on which the outputs of a combinational cell depend in the same cycle."""
    kind = netlist.kind(cell)
    for port, bits in netlist.cells[cell]["connections"].items():
        if is_output(kind, port) or not _reads(kind, port):
            continue
        for bit in bits:
            if not isinstance(bit, str):
                yield port, bit


def _cost(netlist, cell, port):
    kind = netlist.kind(cell)
    if kind in WIDE_MUX or kind == "INV":
        return 0
    if kind in CARRY:
        return 0 if port in ("CI",) else 1
    return 1


def levels(netlist):
    """Levels of each bit, and the bit before it on the deepest path; bits of registers and ports are 0.

    Also the length in bits of the carry chain that ends in each carry cell, and whether a loop was found.
    """
    depth, before, chain = {}, {}, {}
    state = {}
    loops = []
    for root in netlist.cells:
        if not _combinational(netlist, root) or state.get(root) == 2:
            continue
        stack = [(root, None)]
        while stack:
            cell, inputs = stack.pop()
            if inputs is None:
                if state.get(cell) == 2:
                    continue
                state[cell] = 1
                inputs = list(_inputs(netlist, cell))
                stack.append((cell, inputs))
                for _, bit in inputs:
                    source = netlist.driver.get(bit)
                    if source is None or not _combinational(netlist, source[0]):
                        continue
                    if state.get(source[0]) == 1:
                        # a carry cell's outputs do not all depend on all its inputs; loops within one are none
                        if source[0] != cell and netlist.kind(cell) not in CARRY:
                            loops.append(cell)
                    elif state.get(source[0]) is None:
                        stack.append((source[0], None))
                continue
            if state[cell] == 2:
                continue
            state[cell] = 2
            best, origin = 0, None
            length = 0
            for port, bit in inputs:
                value = depth.get(bit, 0) + _cost(netlist, cell, port)
                if value > best or origin is None:
                    best, origin = value, bit
                if port == "CI" and netlist.driver.get(bit, ("",))[0] in chain:
                    length = chain[netlist.driver[bit][0]]
            kind = netlist.kind(cell)
            if kind in CARRY:
                # a place where nothing is added only takes the carry out
                used = sum(1 for bit in netlist.cells[cell]["connections"].get("S", []) if not isinstance(bit, str))
                chain[cell] = length + used
            for port, bits in netlist.cells[cell]["connections"].items():
                if is_output(kind, port):
                    for bit in bits:
                        if not isinstance(bit, str):
                            depth[bit], before[bit] = best, origin
    return depth, before, chain, loops


def path_ends(netlist, depth):
    """Levels, bit, cell and port of each end of a path: inputs of registers and memories, ports of the block."""
    ends = []
    for bit, value in depth.items():
        for reader, port, _ in netlist.readers.get(bit, ()):
            if not _combinational(netlist, reader) or not _reads(netlist.kind(reader), port):
                ends.append((value, bit, reader, port))
        if bit in netlist.port_bits:
            ends.append((value, bit, None, None))
    return ends


def deepest(netlist, ends, before, count=5):
    """The deepest paths between different registers (by name without index): levels, from, to."""
    ends = sorted(ends, key=lambda end: -end[0])
    seen, result = set(), []
    for value, bit, reader, port in ends:
        start = bit
        while start in before and before[start] is not None:
            start = before[start]
        if reader is None:
            to = netlist.names.get(bit, "?") + " (port)"
        else:
            kind = netlist.kind(reader)
            outputs = [b for p, bits in netlist.cells[reader]["connections"].items() if is_output(kind, p) for b in bits]
            target = next((netlist.names[b] for b in outputs if b in netlist.names), reader)
            to = f"{target} ({kind}.{port})"
        source = netlist.driver.get(start)
        origin = netlist.names.get(start, "?") + (f" ({netlist.kind(source[0])})" if source else " (port)")
        key = (origin.split("[")[0], to.split("[")[0])
        if key in seen:
            continue
        seen.add(key)
        result.append({"levels": value, "from": origin, "to": to})
        if len(result) == count:
            break
    return result


def _from_register(netlist, bit):
    if isinstance(bit, str):
        return True
    source = netlist.driver.get(bit)
    return source is not None and not _combinational(netlist, source[0])


def unregistered_dsps(netlist):
    """DSPs with logic at an input that no register of theirs stands behind, or at an output that none stands before."""
    result = []
    for name, cell in netlist.cells.items():
        if cell["type"] != "DSP48E2":
            continue
        connections = cell["connections"]
        for port, register in (("A", "AREG"), ("B", "BREG"), ("D", "DREG"), ("C", "CREG")):
            if netlist.parameter(name, register):
                continue
            if not all(_from_register(netlist, bit) for bit in connections.get(port, ())):
                result.append((name, port))
        if not netlist.parameter(name, "PREG") and not netlist.parameter(name, "MREG"):
            for bit in connections.get("P", ()):
                if any(_combinational(netlist, reader) for reader, _, _ in netlist.readers.get(bit, ())):
                    result.append((name, "P"))
                    break
    return result


def unregistered_block_rams(netlist):
    """Block RAMs one of whose ports reads without its output register."""
    result = []
    for name, cell in netlist.cells.items():
        if cell["type"] not in BLOCK_RAM:
            continue
        widest = 72 if cell["type"].startswith("RAMB36") else 36
        width_a, width_b = (netlist.parameter(name, f"READ_WIDTH_{port}") for port in "AB")
        if (width_a and not netlist.parameter(name, "DOA_REG")) or ((width_b or width_a == widest) and not netlist.parameter(name, "DOB_REG")):
            result.append(name)
    return result


def dsps_short_of_registers(netlist):
    """DSPs that multiply without the registers at their inputs, behind the multiplier and behind the sum.

    Yosys takes registers of the fabric into a DSP that it infers where their enables and resets allow it.
    """
    return [name for name, cell in netlist.cells.items() if cell["type"] == "DSP48E2"
            and not all(netlist.parameter(name, register) for register in ("AREG", "BREG", "MREG", "PREG"))]


def fan_out(netlist):
    """Readers and name of every net that a cell drives: of registers (flip-flops, DSPs, block RAMs, shift registers), and of logic.

    Clocks, enables, resets and write strobes are not read.
    """
    registers, logic = [], []
    for bit, readers in netlist.readers.items():
        if bit in netlist.driver:
            data = sum(1 for cell, port, _ in readers if not is_clock(netlist.kind(cell), port) and port not in CONTROLS)
            nets = logic if _combinational(netlist, netlist.driver[bit][0]) else registers
            nets.append((data, netlist.names.get(bit, "?")))
    return sorted(registers, reverse=True), sorted(logic, reverse=True)


def clocks(netlist):
    """Nets at clock pins."""
    return {bit for cell in netlist.cells.values() for port, bits in cell["connections"].items() if is_clock(cell["type"], port)
            for bit in bits if not isinstance(bit, str)}


def _register(name):
    """A register's name without the index of its bit."""
    return re.sub(r"(\[\d+\])+$", "", name)


def wide_resets(netlist, reset="rst_ni"):
    """Registers of more than MAX_RESET bits that the block's reset clears or sets, and how many of their bits."""
    port = netlist.ports.get(reset)
    if port is None:
        return {}
    # cells whose outputs the reset reaches within a cycle
    reached, stack, seen = set(port["bits"]), list(port["bits"]), set()
    while stack:
        for reader, _, _ in netlist.readers.get(stack.pop(), ()):
            if netlist.kind(reader) not in LUT or reader in seen:
                continue
            seen.add(reader)
            for output, bits in netlist.cells[reader]["connections"].items():
                if is_output(netlist.kind(reader), output):
                    stack += [bit for bit in bits if bit not in reached]
                    reached.update(bits)
    count = collections.Counter()
    for name, cell in netlist.cells.items():
        pins = cell["connections"]
        if cell["type"] in FLIP_FLOP and any(bit in reached for bit in pins.get("R", []) + pins.get("S", [])):
            count[_register(netlist.names.get(pins["Q"][0], name))] += 1
    return {name: bits for name, bits in sorted(count.items()) if bits > MAX_RESET}


def analyse(module):
    netlist = Netlist(module)
    depth, before, chain, loops = levels(netlist)
    count = netlist.count()
    unregistered = unregistered_dsps(netlist)
    ends = path_ends(netlist, depth)
    paths = deepest(netlist, ends, before)
    registers, logic = fan_out(netlist)
    return {
        "resources": resources(netlist),
        "levels": paths[0]["levels"] if paths else 0,
        "paths": paths,
        "ends": len(ends),
        "ends_over": sum(1 for end in ends if end[0] > MAX_LEVELS),
        "longest_carry": max(chain.values(), default=0),
        "fan_out": {
            "registers": [{"readers": n, "net": name} for n, name in registers[:3]],
            "logic": [{"readers": n, "net": name} for n, name in logic[:3]],
        },
        "register_readers": registers[0][0] if registers else 0,
        "registers_over": sum(1 for n, _ in registers if n > MAX_READERS),
        "logic_readers": logic[0][0] if logic else 0,
        "logic_over": sum(1 for n, _ in logic if n > MAX_READERS),
        "dsps_short": len(dsps_short_of_registers(netlist)),
        "block_rams_short": len(unregistered_block_rams(netlist)),
        "wide_resets": wide_resets(netlist),
        "rules": {
            "latches": sum(count[kind] for kind in LATCH),
            "asynchronous_resets": sum(count[kind] for kind in FLIP_FLOP if kind.startswith(("FDC", "FDP"))),
            "combinational_loops": len(loops),
            "unregistered_dsps": len({name for name, _ in unregistered}),
            "unknown_cells": sorted(kind for kind in count if not (
                kind in LUT | CARRY | WIDE_MUX | FLIP_FLOP | SHIFT | LATCH or kind in BLOCK_RAM
                or is_distributed(kind) or kind == "DSP48E2")),
        },
    }
