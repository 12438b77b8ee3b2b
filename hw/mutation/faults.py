"""Faults in the RTL, seeded: where they are, and one copy of the RTL that holds all of them.

A fault changes one expression or statement of a module. In the copy every changed place chooses by `fault_pkg::Selected`, which the environment variable
`DIFFUSER_FAULT` sets when a model is made, so one build of the tests runs all of them; 0 is the RTL as it stands.
"""

import dataclasses
import pathlib
import random
import re

from pyslang import ast, driver, syntax

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RTL = ROOT / "hw/rtl"
BLOCKS = ("array", "prep", "norm", "sample", "dma", "control", "prim", "top")
# made by a script, a table and little else
LEFT_OUT = {"normal_rom.sv", "dsp48e2_mac.sv"}

# tops whose elaborations are searched
TOPS = (
    ("diffuser_core", ("Target=0",)), ("sample_normal", ()), ("dma_pixel", ()),
)

OPERATORS = {"+": "-", "-": "+", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "&&": "||", "||": "&&", "&": "|", "|": "&", "==": "!=", "!=": "==",
             "<<": ">>", ">>": "<<", "^": "|"}
KINDS = ("operator", "condition", "dropped", "constant", "stuck", "operator", "dropped", "stuck", "condition", "arms")

Kind = ast.ExpressionKind


@dataclasses.dataclass(frozen=True)
class Fault:
    """Edits are (begin, end, text), the text with `{sel}` for the choice."""

    file: str  # below hw/rtl
    kind: str
    line: int
    what: str
    edits: tuple

    @property
    def block(self):
        return self.file.split("/")[0]

    @property
    def name(self):
        """As survivors.toml has it."""
        return f"{self.file}:{self.kind}:{self.what[:60]}"


class Places:
    """All places of one elaboration where a fault can stand."""

    def __init__(self, manager):
        self.manager = manager
        self.sources = {}
        self.found = {}
        self.forbidden = {}  # ranges that must stay constant
        self.clocked = False

    def source(self, file):
        if file not in self.sources:
            self.sources[file] = (RTL / file).read_bytes()
        return self.sources[file]

    def where(self, source_range):
        """(file below hw/rtl, begin, end) or None."""
        begin, end = source_range.start, source_range.end
        path = self.manager.getFullPath(begin.buffer)
        try:
            file = str(pathlib.Path(path).resolve().relative_to(RTL))
        except ValueError:
            return None
        if file.split("/")[0] not in BLOCKS or pathlib.Path(file).name in LEFT_OUT or begin.offset >= end.offset:
            return None
        return file, begin.offset, end.offset

    def text(self, place):
        file, begin, end = place
        return self.source(file)[begin:end].decode()

    def add(self, kind, place, what, edits):
        file, begin, end = place
        line = self.source(file)[:begin].count(b"\n") + 1
        self.found.setdefault((file, kind, begin, end), Fault(file, kind, line, " ".join(what.split()), tuple(edits)))

    def forbid(self, source_range):
        place = self.where(source_range)
        if place:
            self.forbidden.setdefault(place[0], set()).add(place[1:])

    def choose(self, kind, place, changed, what):
        self.add(kind, place, what, [(place[1], place[2], f"({{sel}} ? ({changed}) : ({self.text(place)}))")])

    def visit(self, node):
        if isinstance(node, (ast.ConcurrentAssertionStatement, ast.ImmediateAssertionStatement, ast.ParameterSymbol, ast.PackageSymbol)):
            return ast.VisitAction.Skip
        if isinstance(node, ast.SubroutineSymbol):
            place = node.syntax is not None and self.where(node.syntax.sourceRange)
            if not place or re.search(rf"localparam[^;]*\b{node.name}\(", self.source(place[0]).decode()):
                return ast.VisitAction.Skip  # it makes constants
        if isinstance(node, ast.ProceduralBlockSymbol):
            self.clocked = node.procedureKind == ast.ProceduralBlockKind.AlwaysFF
            if node.procedureKind == ast.ProceduralBlockKind.Initial:
                return ast.VisitAction.Skip
        elif isinstance(node, ast.BinaryExpression):
            self.operator(node)
        elif isinstance(node, ast.ConditionalStatement):
            for condition in node.conditions:
                self.condition(condition.expr)
        elif isinstance(node, ast.ConditionalExpression):
            for condition in node.conditions:
                self.condition(condition.expr)
        elif isinstance(node, ast.IntegerLiteral):
            self.constant(node)
        elif isinstance(node, ast.RangeSelectExpression):
            for bound in (node.left, node.right):
                self.forbid(bound.sourceRange)
        elif isinstance(node, ast.ElementSelectExpression):
            self.forbid(node.selector.sourceRange)
        elif isinstance(node, ast.ReplicationExpression):
            self.forbid(node.count.sourceRange)
        elif isinstance(node, ast.ConversionExpression) and not node.isImplicit and isinstance(node.syntax, syntax.CastExpressionSyntax):
            self.forbid(node.syntax.left.sourceRange)
        elif isinstance(node, ast.ForLoopStatement):
            for variable in node.loopVars:
                if variable.initializer is not None:
                    self.forbid(variable.initializer.sourceRange)
            self.forbid(node.stopExpr.sourceRange)
            for step in node.steps:
                self.forbid(step.sourceRange)
        elif isinstance(node, ast.VariableSymbol):
            if node.initializer is not None:
                self.forbid(node.initializer.sourceRange)
        elif isinstance(node, ast.CaseStatement):
            for item in node.items:
                for expression in item.expressions:
                    self.forbid(expression.sourceRange)
            self.arms(node)
        elif isinstance(node, ast.ExpressionStatement):
            self.assignment(node)
        elif isinstance(node, ast.ContinuousAssignSymbol):
            if isinstance(node.assignment, ast.AssignmentExpression):
                left = self.where(node.assignment.left.sourceRange)
                if left and self.text(left).startswith("unused"):
                    return ast.VisitAction.Skip
                self.stuck(node.assignment)
        return ast.VisitAction.Advance

    def operator(self, node):
        place, written = self.where(node.sourceRange), node.syntax
        if place is None or not isinstance(written, syntax.BinaryExpressionSyntax) or not changes(node):
            return
        token = written.operatorToken
        if token.rawText not in OPERATORS or not node.type.isIntegral:
            return
        at = token.range.start.offset
        end = at + len(token.rawText)
        text = self.source(place[0])
        changed = text[place[1]:at].decode() + OPERATORS[token.rawText] + text[end:place[2]].decode()
        self.choose("operator", place, changed, f"{token.rawText} becomes {OPERATORS[token.rawText]} in {self.text(place)}")

    def condition(self, node):
        place = self.where(node.sourceRange)
        if place and changes(node):
            self.choose("condition", place, f"!({self.text(place)})", f"negated: {self.text(place)}")

    def constant(self, node):
        place = self.where(node.sourceRange)
        if place is None or not isinstance(node.syntax, (syntax.IntegerVectorExpressionSyntax, syntax.LiteralExpressionSyntax)):
            return
        text, value = self.text(place), node.value
        if value is None or not text[:1].isdigit():
            return
        if value.hasUnknown:
            return
        width, now = node.type.bitWidth, int(value)
        then = now + 1 if now + 1 < 1 << width else now - 1
        if then < 0:
            return
        signed = "s" if "'s" in text.lower() else ""
        changed = f"{width}'{signed}d{then}" if "'" in text else str(then)
        self.choose("constant", place, changed, f"{text} becomes {changed}")

    def assignment(self, node):
        assign = node.expr
        if not isinstance(assign, ast.AssignmentExpression) or not assign.isNonBlocking:
            return
        place = self.where(node.syntax.sourceRange) if node.syntax is not None else None
        if place and self.clocked:
            self.add("dropped", place, f"dropped: {self.text(place)}",
                     [(place[1], place[1], "begin if (!({sel})) "), (place[2], place[2], " end")])
        self.stuck(assign)

    def stuck(self, assign):
        if assign.isCompound or assign.syntax is None:
            return
        kind = assign.left.type
        place = self.where(assign.right.sourceRange)
        left = self.where(assign.left.sourceRange)
        canonical = kind.canonicalType
        if place is None or left is None or not isinstance(canonical, (ast.ScalarType, ast.PackedArrayType, ast.PredefinedIntegerType)) \
                or isinstance(getattr(canonical, "elementType", None), (ast.PackedStructType, ast.EnumType)):
            return
        if isinstance(assign.right, (ast.SimpleAssignmentPatternExpression, ast.StructuredAssignmentPatternExpression)) or self.text(place).startswith("'"):
            return
        name = self.text(left)
        if name.startswith("{"):
            return
        # a place in the file picks bit and level
        seed = place[1]
        bit = f"($bits({name})'(1) << ({seed} % $bits({name})))"
        now = f"({self.text(place)})"
        changed = f"{now} | {bit}" if seed & 1 else f"{now} & ~{bit}"
        self.choose("stuck", place, changed, f"a bit of {name} stuck at {seed & 1}")

    def arms(self, node):
        items = [item for item in node.items if self.where(item.stmt.syntax.sourceRange)]
        for one, two in zip(items, items[1:]):
            a, b = self.where(one.stmt.syntax.sourceRange), self.where(two.stmt.syntax.sourceRange)
            if a[0] != b[0] or self.text(a) == self.text(b):
                continue
            edits = []
            for here, other in ((a, b), (b, a)):
                edits.append((here[1], here[2],
                              f"begin if ({{sel}}) begin {self.text(other)} end else begin {self.text(here)} end end"))
            self.add("arms", (a[0], a[1], b[2]), "arms of a case swapped", edits)

    def candidates(self):
        for (file, kind, begin, end), fault in sorted(self.found.items()):
            inside = any(b <= begin and end <= e for b, e in self.forbidden.get(file, ()))
            if not inside:
                yield fault


class Reads:
    """Whether anything but parameters and literals is read."""

    def __init__(self):
        self.some = False

    def __call__(self, node):
        if isinstance(node, (ast.NamedValueExpression, ast.HierarchicalValueExpression)):
            symbol = node.symbol
            loop = isinstance(symbol, ast.VariableSymbol) and symbol.lifetime == ast.VariableLifetime.Automatic
            if not isinstance(symbol, (ast.ParameterSymbol, ast.EnumValueSymbol, ast.GenvarSymbol)) and not loop:
                self.some = True
        return ast.VisitAction.Advance


def changes(node):
    reads = Reads()
    node.visit(reads)
    return reads.some


def elaborate(top, parameters):
    """A slang driver and its compilation."""
    rtl = RTL
    slang = driver.Driver()
    slang.addStandardArgs()
    packages = sorted((rtl / "pkg").glob("*.sv"), key=lambda p: (p.name != "diffuser_isa_pkg.sv", p.name))
    words = ["slang", *map(str, packages)]
    for folder in sorted(p for p in rtl.iterdir() if p.is_dir()):
        words += ["-y", str(folder)]
    words += [str(next(rtl.glob(f"*/{top}.sv"))), "--top", top]
    words += [f"-G{p}" for p in parameters]
    if not (slang.parseCommandLine(" ".join(words)) and slang.processOptions() and slang.parseAllSources()):
        raise RuntimeError(f"{top}: not understood")
    return slang, slang.createCompilation()


def lines(block):
    """Lines of code of a block."""
    count = 0
    for path in (RTL / block).glob("*.sv"):
        if path.name not in LEFT_OUT:
            count += sum(1 for line in path.read_text().splitlines() if line.strip() and not line.strip().startswith("//"))
    return count


def shares(total):
    """Faults of each block in proportion to its lines; the largest remainders are rounded up."""
    size = {block: lines(block) for block in BLOCKS}
    exact = {block: total * size[block] / sum(size.values()) for block in BLOCKS}
    share = {block: int(exact[block]) for block in BLOCKS}
    for block in sorted(BLOCKS, key=lambda b: share[b] - exact[b])[:total - sum(share.values())]:
        share[block] += 1
    return share


def overlaps(fault, taken):
    spans = [(b, e) for b, e, _ in fault.edits]
    begin, end = min(b for b, _ in spans), max(e for _, e in spans)
    return any(b < end and begin < e or (b, e) == (begin, end) for b, e in taken)


def every():
    """All faults that could stand in the RTL, in order."""
    everything = {}
    for top, parameters in TOPS:
        slang, compilation = elaborate(top, parameters)
        places = Places(slang.sourceManager)
        compilation.getRoot().visit(places.visit)
        for fault in places.candidates():
            everything.setdefault((fault.file, fault.kind, fault.edits), fault)
    return [fault for _, fault in sorted(everything.items())]


def named(names):
    """All faults of these names, as many as do not overlap."""
    chosen = []
    for fault in every():
        same = [edit for other in chosen if other.file == fault.file for edit in other.edits]
        if fault.name in names and not overlaps(fault, [(begin, end) for begin, end, _ in same]):
            chosen.append(fault)
    return chosen


def pick(seed, total):
    """`total` faults, no two overlapping; kinds in turn, the place by the seed."""
    everything = every()
    chance = random.Random(seed)
    chosen = []
    for block, count in shares(total).items():
        pool = [fault for fault in everything if fault.block == block]
        chance.shuffle(pool)
        taken, turn, some = {}, 0, 0
        while some < count:
            wanted = KINDS[turn % len(KINDS)]
            turn += 1
            for fault in [f for f in pool if f.kind == wanted]:
                pool.remove(fault)
                if not overlaps(fault, taken.get(fault.file, [])):
                    spans = fault.edits
                    taken.setdefault(fault.file, []).append((min(b for b, _, _ in spans), max(e for _, e, _ in spans)))
                    chosen.append(fault)
                    some += 1
                    break
    return chosen


PACKAGE = """// Which fault is active; 0 is none.
package fault_pkg;
  import "DPI-C" function int diffuser_fault();
  int Selected = diffuser_fault();
endpackage
"""


def write(faults, folder):
    """The copy of hw/rtl that holds all of `faults`, number 1 first."""
    folder = pathlib.Path(folder)
    fresh = {}
    for path in sorted(RTL.rglob("*.sv")):
        fresh[str(path.relative_to(RTL))] = path.read_bytes()
    edits = {}
    for number, fault in enumerate(faults, 1):
        for begin, end, text in fault.edits:
            edits.setdefault(fault.file, []).append((begin, end, text.replace("{sel}", f"fault_pkg::Selected == {number}")))
    for file, changes_ in edits.items():
        text = fresh[file]
        for begin, end, new in sorted(changes_, key=lambda c: (c[0], c[1]), reverse=True):
            text = text[:begin] + new.encode() + text[end:]
        fresh[file] = text
    fresh["pkg/aa_fault_pkg.sv"] = PACKAGE.encode()
    # files that stay keep their time: nothing is built again
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in fresh:
            path.unlink()
    for file, text in fresh.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != text:
            path.write_bytes(text)
    return folder
