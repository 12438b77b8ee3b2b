"""Tables of a page in Markdown, which scripts write."""

import pathlib
import re


def write(path, name, text):
    """Puts `text` between `<!-- table: NAME -->` and the end of that table."""
    page = pathlib.Path(path)
    pattern = re.compile(rf"(<!-- table: {re.escape(name)} -->\n).*?(<!-- end of table -->)", re.S)
    found, count = pattern.subn(lambda m: m.group(1) + text + "\n" + m.group(2), page.read_text())
    if count != 1:
        raise SystemExit(f"{path} has {count} places for the table {name}")
    page.write_text(found)
