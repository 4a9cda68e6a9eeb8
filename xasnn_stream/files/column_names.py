"""Names of columns from the lines above a table, in the dialects beamlines write."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from xasnn_stream.files.roles import recognized

_UNIT = re.compile(r"\s*[\[(]\s*([^\])]*?)\s*[\])]")
_XDI = re.compile(r"^#\s*Column\.(\d+)\s*:\s*(\S+)\s*(\S*)", re.IGNORECASE)
_CLS = re.compile(r"^#\s*column\s+(\d+)\s*:\s*(\S.*)", re.IGNORECASE)
_LISTED = re.compile(r"(?:^#|\s)\s*(\d+)\)\s+(.+?)(?=\s+\d+\)\s|\s*$)")
_MODES = {"1": "i0", "2": "it", "3": "if"}
"""Of Photon Factory's and SPring-8's counters."""

_NEAR = 6
"""How many lines above the table may be the line of names."""


Names = tuple[list[str], dict[str, str]]


def names_above(head: Sequence[str], width: int, separator: str | None) -> Names:
    """Return `width` names and the units stated, nothing where none fit.

    Of all candidates the one that names most known channels wins, the first of equals.

    Raises
    ------
    ValueError
        If the header announces another number of columns.
    """
    candidates = [
        names
        for source in _SOURCES
        for names, _ in source(head, separator)
        if len(names) == width
    ]
    units = {
        name: unit
        for source in _SOURCES
        for names, found in source(head, separator)
        if len(names) == width
        for name, unit in found.items()
    }
    candidates += [
        names for line in head[-_NEAR:] if (names := _fixed_width(line, width))
    ]
    best = max(candidates, key=recognized, default=[])
    if not recognized(best):
        for source in (_announced, _xdi):
            for names, _ in source(head, separator):
                if names and len(names) != width:
                    raise ValueError(
                        f"its header names {len(names)} columns, {', '.join(names)}, "
                        f"its rows have {width}"
                    )
    if width == 2 and not recognized(best):
        return [], {}  # a title of two words
    return _distinct(best), units


def _xdi(head: Sequence[str], separator: str | None) -> Iterator[Names]:
    del separator
    found = [match for line in head if (match := _XDI.match(line))]
    names = [match[2] for match in found]
    units = {match[2]: match[3] for match in found if match[3].isalpha()}
    yield names, units


def _announced(head: Sequence[str], separator: str | None) -> Iterator[Names]:
    """`# columns: energy i0 it`, with blanks or commas."""
    del separator
    for line in head:
        key, _, value = line.lstrip("#% ").partition(":")
        if key.strip().lower() in ("columns", "column names", "labels"):
            yield value.replace(",", " ").split(), {}


def _numbered(head: Sequence[str], separator: str | None) -> Iterator[Names]:
    """`# column 6: I0 ADDRESS` of CLS, in blocks that each count from 1."""
    del separator
    block: list[str] = []
    for line in [*head, "# column 1: end"]:
        match = _CLS.match(line)
        if match is None:
            continue
        if match[1] == "1" and block:
            yield block, {}
            block = []
        words = match[2].split()
        block.append(" ".join(words[:-1]) or words[0])


def _listed(head: Sequence[str], separator: str | None) -> Iterator[Names]:
    """`#  1) Mono Energy *   11) DXP12:0:Hg`, in columns down the page."""
    del separator
    found = {
        int(number): name.strip()
        for line in head
        for number, name in _LISTED.findall(line.rstrip())
    }
    if sorted(found) == list(range(1, len(found) + 1)):
        yield [found[number] for number in sorted(found)], {}


def _one_per_line(head: Sequence[str], separator: str | None) -> Iterator[Names]:
    """Read what follows `Data:`, a name per line (SSRL)."""
    del separator
    lines = [line.strip() for line in head]
    if "Data:" in lines:
        yield lines[lines.index("Data:") + 1 :], {}


def _photon_factory(head: Sequence[str], separator: str | None) -> Iterator[Names]:
    """`Angle(c) Angle(o) time/s 2 3` over `Mode 0 0 1 2`: what each counter counts."""
    del separator
    for names, modes in pairwise(line.split() for line in head):
        if names[:2] == ["Angle(c)", "Angle(o)"] and modes[:1] == ["Mode"]:
            counted = [_MODES.get(mode, "") for mode in modes[3:]]
            rest = [
                role or name for role, name in zip(counted, names[3:], strict=False)
            ]
            yield [*names[:3], *rest], {}


def _last_lines(head: Sequence[str], separator: str | None) -> Iterator[Names]:
    """Cut the lines before the table, the nearest first."""
    for line in reversed(head[-_NEAR:]):
        if _XDI.match(line):
            continue
        text = line.strip().lstrip("#%!;").strip()
        text = text.removeprefix("L ") if line.startswith("#L ") else text
        cuts: list[Callable[[str], list[str]]] = [
            str.split,
            lambda text: re.split(r"\s{2,}|\t", text),
        ]
        if separator is not None:
            cuts.insert(0, lambda text: text.split(separator))
        if "," in text:
            cuts.append(lambda text: text.split(","))
        for cut in cuts:
            for each in (text, _UNIT.sub("", text)):
                names = [cell.strip().strip("\"'") for cell in cut(each)]
                if names and all(names) and not all(map(_is_number, names)):
                    yield _with_units(names)


def _with_units(cells: Sequence[str]) -> Names:
    names, units = [], {}
    for cell in cells:
        found = _UNIT.search(cell)
        name = _UNIT.sub("", cell).strip() or cell
        names.append(name)
        if found is not None:
            units[name] = found[1]
    return names, units


_SOURCES = (
    _announced,
    _xdi,
    _numbered,
    _listed,
    _one_per_line,
    _photon_factory,
    _last_lines,
)


def _fixed_width(line: str, width: int) -> list[str]:
    """Cut a line of names with blanks in them at equal widths (LabVIEW)."""
    text = line.rstrip().lstrip("#")
    for size in range(8, 41):
        cells = [text[size * k : size * (k + 1)] for k in range(width)]
        whole = len(text) <= size * width
        if whole and all(cell[:1].strip() for cell in cells):
            return [cell.strip() for cell in cells]
    return []


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names of which none stands twice: the second `x` is `x_2`."""
    result: list[str] = []
    for name in names:
        different, count = name, 1
        while different in result:
            count += 1
            different = f"{name}_{count}"
        result.append(different)
    return result


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
