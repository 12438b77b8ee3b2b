"""What the units of the accelerator do in one block, as a picture."""

from accelerator_conflicts import P, reads

# of the cycle model (crates/device/src/cycles): prep until its first group and after its last, array until its first product,
# until a group's sums
PREP_LATENCY, ARRAY_START, MAC_LATENCY = 45, 20, 17

STYLE = """
.bg{fill:#fff}text{fill:#24292f}.m{fill:#57606a}.t{fill:#fff}.g{stroke:#d0d7de}
@media (prefers-color-scheme:dark){.bg{fill:#0d1117}text{fill:#e6edf3}.m{fill:#9198a1}.t{fill:#fff}.g{stroke:#3d444d}}
"""
COLOURS = ["#0969a8", "#a85000", "#1a7f37", "#8250df", "#a0204f"]
LANES = {"dma": "DDR to weights", "norm": "norm", "prep": "prep", "array": "array", "drain": "drain"}
LEFT, RIGHT, TOP, PITCH = 124, 920, 70, 44


def first_sums(conv: dict, preps: list[dict]) -> int:
    """When the first group of pixels of a descriptor of the array leaves the accumulators."""
    begin = conv["start"] + ARRAY_START
    if conv["operation"] != "conv":
        return begin + MAC_LATENCY
    if conv["follows"] is not None:
        prep = preps[conv["follows"]]
        group = prep["busy"] * P // (conv["in"][0] * conv["in"][1])
        taps = range(conv["kernel"])
        last = max(m for n in range(P) for ky in taps for kx in taps if (m := reads(conv, n, ky, kx)) is not None)
        begin = max(begin, prep["start"] + PREP_LATENCY + group * (last // P + 1))
    return begin + conv["kernel"] ** 2 * conv["blocks"] * conv["planes"] + MAC_LATENCY


def timeline(run: dict, prefix: str, step: int) -> str:
    """What the units do for the nodes of a prefix, as a picture."""
    names = run["names"]
    spans = [s for s in run["spans"] if s["step"] == step]
    preps = [s for s in spans if s["unit"] == "prep"]
    name = lambda s: names[s["tag"]] if s["tag"] < len(names) else "parameters"
    inside = [s for s in spans if name(s).startswith(prefix) and s["unit"] != "dma"]
    begin, end = min(s["start"] for s in inside), max(s["end"] for s in inside)
    scale = (RIGHT - LEFT) / (end - begin)
    bottom = TOP + PITCH * len(LANES)
    height = bottom + 56
    y = {lane: TOP + PITCH * i + 8 for i, lane in enumerate(LANES)}
    x = lambda t: LEFT + (min(max(t, begin), end) - begin) * scale
    layers = list(dict.fromkeys(name(s).removesuffix(".input") for s in inside))
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="940" height="{height}" viewBox="0 0 940 {height}" '
        'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12">',
        f"<title>Units of the accelerator over time, {prefix.rstrip('.')}</title>",
        f"<style>{STYLE}</style>",
        '<defs><pattern id="h" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<path d="M0 0V6" stroke="#fff" stroke-width="3" stroke-opacity="0.4"/></pattern></defs>',
        f'<rect class="bg" width="940" height="{height}"/>',
        f'<text x="14" y="28" font-size="14" font-weight="bold">{prefix.rstrip(".")} of the shipped model: one ResNet block, cycles since its first norm</text>',
    ]
    for t in range(0, end - begin, 500):
        line = f'<path class="g" d="M{x(begin + t):.1f} {TOP}V{bottom}"/>'
        out.append(line + f'<text class="m" x="{x(begin + t):.1f}" y="{bottom + 16}" text-anchor="middle">{t:,}</text>')
    out.append(f'<text class="m" x="14" y="{bottom + 16}">cycles</text>')
    for i, layer in enumerate(layers):
        left = LEFT + 130 * i
        out.append(f'<rect x="{left}" y="44" width="14" height="14" rx="2" fill="{COLOURS[i % len(COLOURS)]}"/>')
        out.append(f'<text class="m" x="{left + 20}" y="55">{layer.removeprefix(prefix)}</text>')
    out += [f'<text x="14" y="{y[lane] + 19}">{label}</text>' for lane, label in LANES.items()]

    def bar(lane: str, start: int, stop: int, layer: str, title: str, chained: int = 0) -> None:
        if stop <= begin or start >= end:
            return
        left, width = x(start), max(x(stop) - x(start), 1.5)
        colour = COLOURS[layers.index(layer) % len(COLOURS)] if layer in layers else "#6e7781"
        box = f'x="{left:.1f}" y="{y[lane]}" height="28"'
        out.append(f'<rect {box} width="{width:.1f}" rx="2" fill="{colour}"><title>{title}</title></rect>')
        if chained > start:
            out.append(f'<rect {box} width="{x(min(chained, stop)) - left:.1f}" fill="url(#h)"/>')
        label = layer.removeprefix(prefix) if layer in layers else layer.removesuffix(".input")
        if width > 7.6 * len(label):
            out.append(f'<text class="t" x="{left + width / 2:.1f}" y="{y[lane] + 18}" text-anchor="middle">{label}</text>')

    for s in spans:
        layer = name(s).removesuffix(".input")
        title = f"{s['operation']} for {name(s)}, cycles {s['start'] - begin:,} to {s['end'] - begin:,}"
        if s["unit"] == "dma" and s["operation"] == "load" and s["space"] in (0, 5):
            bar("dma", s["end"] - s["busy"], s["end"], layer, title)  # its data come at the end
        elif s["unit"] == "array":
            follows = s.get("follows")
            bar("array", s["start"], s["issued"], layer, title, 0 if follows is None else preps[follows]["end"])
            bar("drain", first_sums(s, preps), s["end"], layer, title)
        elif s["unit"] in LANES and s["unit"] != "dma":
            bar(s["unit"], s["start"], s["end"], layer, title)
    legend = bottom + 28
    out.append(f'<rect x="{LEFT}" y="{legend}" width="26" height="14" rx="2" fill="#6e7781"/><rect x="{LEFT}" y="{legend}" width="26" height="14" fill="url(#h)"/>')
    out.append(f'<text class="m" x="{LEFT + 34}" y="{legend + 11}">chained: the array follows prep, group of pixels by group; grey: other layers</text>')
    return "\n".join([*out, "</svg>"]) + "\n"
