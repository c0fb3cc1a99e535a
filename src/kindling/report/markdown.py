"""The report as Markdown."""

from kindling.report.contents import Contents
from kindling.report.frame import Rows

MOST_ROWS = 100


def markdown(contents: Contents) -> str:
    means, jobs = sections(contents)
    told = [" ".join([contents.headline, *contents.remarks]), *contents.about]
    parts = [f"# {escaped(contents.sweep.name)}", *map(escaped, told), f"```\n{contents.command}\n```"]
    parts += section(contents, *means)
    parts += [f"## {contents.verdict}" if contents.winners else contents.verdict]
    for job in contents.shown:
        parts += [f"{escaped(contents.reached(job))}; folder `{contents.sweep.folder / str(job)}`"]
        parts += [f"```\n{contents.command_of(job)}\n```"]
    return "\n\n".join([*parts, *section(contents, *jobs)]) + "\n"


def section(contents: Contents, title: str, content: tuple[list[str], Rows]) -> list[str]:
    columns, rows = content
    if not rows:
        return []
    more = [f"{len(rows) - MOST_ROWS} more are in table.csv."] * (len(rows) > MOST_ROWS)
    return [f"## {title}", table(columns, rows[:MOST_ROWS], contents.winners), *more]


def sections(contents: Contents) -> list[tuple[str, tuple[list[str], Rows]]]:
    over = " and ".join(contents.sweep.repeats)
    return [(f"Mean ± standard deviation over {over}", contents.means()), ("Jobs, best first", contents.jobs())]


def table(columns: list[str], rows: Rows, winners: list[int]) -> str:
    is_number = [any(row[index].value is not None for row in rows) for index in range(len(columns))]
    lines = [list(map(escaped, columns)), ["---:" if right else "---" for right in is_number]]
    for first, *rest in rows:
        is_best = columns[0] == "job" and first.value in winners
        lines += [[f"**{first.text}**" if is_best else escaped(first.text), *(escaped(cell.text) for cell in rest)]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """So that a value cannot end its cell or become markup."""
    for sign in "\\`*|<>[]":
        text = text.replace(sign, f"\\{sign}")
    return text
