"""Paths between the clocks of a netlist.

A value goes from one clock to another only from a register of the kind `launch` straight into one of the kind `capture`
(hw/rtl/prim/cross_flops.sv, told by the attribute `crossing`), or through a block RAM that is made for two clocks. A port belongs to
the clock whose name its own begins with: `pixel_de_o` to `pixel_clk_i`, the others to `clk_i`.
"""

import netlist as cells

# of a block RAM as mem_slice uses it, port B writes and takes port A's data for the lower half; port A reads
WRITE_PINS = ("ENBWREN", "ADDRBWRADDR", "WEBWE", "DIN", "DI")


def clock_of(netlist, cell, port):
    """The net that clocks what a pin of a register or a memory writes or reads; None where nothing does."""
    kind = netlist.kind(cell)
    connections = netlist.cells[cell]["connections"]
    if kind in cells.BLOCK_RAM:
        name = "CLKBWRCLK" if port.startswith(WRITE_PINS) else "CLKARDCLK"
    else:
        name = next((pin for pin in ("C", "CLK", "WCLK") if pin in connections), None)
    return connections[name][0] if name in connections else None


def clock_ports(netlist):
    """Clock pins' nets that are ports, with the prefix of the ports that belong to each."""
    clocks = cells.clocks(netlist)
    bits = [(name, bit) for name, port in netlist.ports.items() for bit in port["bits"]]
    return {bit: name.removesuffix("clk_i") for name, bit in bits if bit in clocks}


def kind_of(netlist, cell):
    """`launch` or `capture`, where it is a register made for a crossing."""
    return netlist.cells[cell].get("attributes", {}).get("crossing")


def sources(netlist, ports):
    """For each bit the clocks that it comes from within a cycle."""
    found = {}

    def port_clock(name):
        prefix = max((p for p in ports.values() if name.startswith(p)), key=len, default=None)
        return {clock for clock, p in ports.items() if p == prefix}

    for name, port in netlist.ports.items():
        for bit in port["bits"]:
            if bit not in netlist.driver and bit not in ports:
                found[bit] = frozenset(port_clock(name))
    for bit, (cell, port, _) in netlist.driver.items():
        if not cells._combinational(netlist, cell):
            clock = clock_of(netlist, cell, port)
            found[bit] = frozenset() if clock is None else frozenset({clock})

    def outputs(cell):
        pins = netlist.cells[cell]["connections"].items()
        return [bit for port, bits in pins if cells.is_output(netlist.kind(cell), port) for bit in bits if not isinstance(bit, str)]

    # a loop's cells know what came before it: the rule against loops ends the run in any case
    entered = set()
    for root in netlist.cells:
        if not cells._combinational(netlist, root):
            continue
        stack = [(root, False)]
        while stack:
            cell, complete = stack.pop()
            if not complete:
                if cell in entered:
                    continue
                entered.add(cell)
                stack.append((cell, True))
                for _, bit in cells._inputs(netlist, cell):
                    if bit not in found and bit in netlist.driver:
                        stack.append((netlist.driver[bit][0], False))
                continue
            clocks = frozenset().union(*(found.get(bit, frozenset()) for _, bit in cells._inputs(netlist, cell)))
            if cells.is_distributed(netlist.kind(cell)):
                clocks |= {clock_of(netlist, cell, "WCLK")}
            for bit in outputs(cell):
                found[bit] = clocks
    return found, port_clock


def naked(netlist):
    """Ends of paths between clocks that are not made for it, a line each, and clocks that are no port."""
    ports = clock_ports(netlist)
    lines = [f"a clock that is no port: {netlist.names.get(bit, '?')}" for bit in cells.clocks(netlist) if bit not in ports]
    if lines or len(ports) < 2:
        return lines
    found, port_clock = sources(netlist, ports)
    for name, cell in netlist.cells.items():
        kind, connections = cell["type"], cell["connections"]
        if kind in cells.BLOCK_RAM:
            both = {connections[pin][0] for pin in ("CLKARDCLK", "CLKBWRCLK") if not isinstance(connections[pin][0], str)}
            if len(both) > 1 and cell["parameters"].get("CLOCK_DOMAINS") != "INDEPENDENT":
                lines.append(f"a block RAM with two clocks, made for one: {name}")
        for port, bits in connections.items():
            combinational = cells._combinational(netlist, name) and cells._reads(kind, port)
            if combinational or cells.is_clock(kind, port) or cells.is_output(kind, port):
                continue
            clock = clock_of(netlist, name, port)
            for bit in bits:
                other = found.get(bit, frozenset()) - {clock}
                if isinstance(bit, str) or not other:
                    continue
                source = netlist.driver.get(bit)
                launched = source is not None and kind_of(netlist, source[0]) == "launch"
                if not (port == "D" and kind_of(netlist, name) == "capture" and launched):
                    target = next((netlist.names.get(b) for p, bs in connections.items() if cells.is_output(kind, p) for b in bs if b in netlist.names), name)
                    lines.append(f"{netlist.names.get(bit, '?')} to {target} ({kind}.{port})")
    for name, port in netlist.ports.items():
        for bit in port["bits"]:
            if bit in netlist.driver and found.get(bit, frozenset()) - port_clock(name):
                lines.append(f"{netlist.names.get(bit, '?')} to port {name}")
    return lines
