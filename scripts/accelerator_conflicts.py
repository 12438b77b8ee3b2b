"""Bank conflicts of the operand memory on the ZU9EG build, by the loops of `conv` in docs/isa.md."""

P = 8  # pixels that the array takes at once, and banks


def reads(conv: dict, n: int, ky: int, kx: int) -> int | None:
    """Pixel of the operand that output pixel n reads for a tap; None for padding."""
    (in_height, in_width), width = conv["in"], conv["out"][1]
    up = 2 if conv["upsample"] else 1
    top, left = conv["pad"]
    y = n // width * conv["stride"] + ky - top
    x = n % width * conv["stride"] + kx - left
    if not (0 <= y < in_height * up and 0 <= x < in_width * up):
        return None
    return y // up * in_width + x // up


def conflicts(conv: dict) -> tuple[int, int]:
    """Cycles that all taps of one block lose, and the cycles that they take without."""
    pixels = conv["out"][0] * conv["out"][1]
    lost = taps = 0
    for group in range(0, pixels, P):
        for ky in range(conv["kernel"]):
            for kx in range(conv["kernel"]):
                pixel = {reads(conv, n, ky, kx) for n in range(group, min(group + P, pixels))} - {None}
                rows = [0] * P  # rows that a bank is asked for
                for m in pixel:
                    rows[(m % P) ^ (m // P % 2 if conv["spread"] else 0)] += 1
                lost += max(1, *rows) - 1
                taps += 1
    return lost, taps


def check_conflicts(run: dict) -> int:
    """Every conv of the last step lost what the rule says; how many were looked at."""
    known: dict[tuple, int] = {}
    count = 0
    for span in run["spans"]:
        if span["operation"] != "conv" or span["step"] != run["steps"] - 1:
            continue
        key = (*span["in"], *span["out"], span["kernel"], span["stride"], span["upsample"], *span["pad"], span["spread"])
        if key not in known:
            known[key] = conflicts(span)[0]
        lost = known[key]
        assert span["bank"] == lost * span["tiles"] * span["blocks"] * span["planes"], f"descriptor {span['index']}"
        count += 1
    return count


def conflict_table(_: dict) -> str:
    def cell(kernel: int, size: int, stride: int = 1, upsample: bool = False, spread: bool = False, pad: int | None = None) -> str:
        source = size * stride // (2 if upsample else 1)
        pad = kernel // 2 if pad is None else pad
        conv = {"in": [source, source], "out": [size, size], "kernel": kernel, "stride": stride, "upsample": upsample, "pad": [pad, pad]}
        conv["spread"] = spread
        lost, taps = conflicts(conv)
        return f"{lost / taps:.2f}" if lost else "0"

    sizes = [32, 16, 8, 4]
    kinds = {
        "3x3": {"kernel": 3},
        "1x1, Q, K, V, linear": {"kernel": 1},
        "3x3 after nearest 2x": {"kernel": 3, "upsample": True},
        "2x2, phases of that": {"kernel": 2},
        "3x3, stride 2, padded all round or below and right": {"kernel": 3, "stride": 2},
        "the same of a spread operand": {"kernel": 3, "stride": 2, "spread": True},
    }
    for spread in [False, True]:
        kind = {"kernel": 3, "stride": 2, "spread": spread}
        assert all(cell(size=s, pad=0, **kind) == cell(size=s, **kind) for s in sizes)
    lines = ["| result | " + " | ".join(f"{s}x{s}" for s in sizes) + " |", "| --- |" + " --- |" * len(sizes)]
    for name, kind in kinds.items():
        lines.append(f"| {name} | " + " | ".join(cell(size=s, **kind) for s in sizes) + " |")
    return "\n".join(lines)
