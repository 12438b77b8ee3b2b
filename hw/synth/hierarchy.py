"""Modules of a design that differ only in names are made one, so that each is synthesised once.

`read_slang --keep-hierarchy` makes a module of every instance: 2,048 of one multiplier. On RTLIL text, from the leaves up, modules
whose bodies are equal but for where they come from and for Yosys' own names (`$...`) share the first one's.
"""

import re

PRIVATE = re.compile(r"\$\S+")


def _modules(text):
    """Attributes and body of each module, by name."""
    modules, attributes, name = {}, [], None
    for line in text.splitlines():
        if name is None:
            if line.startswith("module "):
                name = line.split()[1]
                modules[name] = (attributes, [])
                attributes = []
            elif line.startswith("attribute "):
                attributes.append(line)
        elif line == "end":
            name = None
        else:
            modules[name][1].append(line)
    return modules


def _leaves_first(modules):
    children = {
        name: [line.split()[1] for line in body if line.startswith("  cell \\") and line.split()[1] in modules]
        for name, (_, body) in modules.items()
    }
    order, seen = [], set()

    def visit(name):
        if name not in seen:
            seen.add(name)
            for inner in children[name]:
                visit(inner)
            order.append(name)

    for name in modules:
        visit(name)
    return order


def _key(name, attributes, body):
    """What two modules that can be one have in common."""
    names, lines = {}, []
    for line in body:
        line = line.strip()
        if line.startswith(("attribute \\src", "attribute \\hdlname")):
            continue
        kind = ""
        if line.startswith("cell $"):  # the type is no name
            _, kind, own = line.split()
            line = f"cell {own}"
        lines.append(kind + PRIVATE.sub(lambda m: names.setdefault(m.group(0), f"${len(names)}"), line))
    kept = sorted(line for line in attributes if not line.startswith(("attribute \\src", "attribute \\hdlname")))
    return name.split("$")[0], tuple(kept), tuple(lines)


def merge(text):
    """RTLIL with equal modules merged, and how many there were and are."""
    modules = _modules(text)
    first, instead = {}, {}
    out = ["autoidx 1000000000"]
    for name in _leaves_first(modules):
        attributes, body = modules[name]
        renamed = []
        for line in body:
            if line.startswith("  cell \\"):
                _, kind, own = line.split()
                line = f"  cell {instead.get(kind, kind)} {own}"
            renamed.append(line)
        instead[name] = first.setdefault(_key(name, attributes, renamed), name)
        if instead[name] == name:
            out += [*attributes, f"module {name}", *renamed, "end"]
    return "\n".join(out) + "\n", len(modules), len(first)
