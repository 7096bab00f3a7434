"""The figures of all rounds as one table."""

import statistics

COLUMNS = ("server", "protocol", "rows", "CPU us/request", "min - max", "requests/s", "p50 ms", "p99 ms", "ratio", "goal")


def ratio(figures, reference):
    """The median of the rounds' ratios: what disturbs the machine disturbs a round as a whole."""
    return statistics.median(one.cpu / other.cpu for one, other in zip(figures, reference))


def verdict(value, most):
    return f"<= {most:g} {'met' if value <= most else 'missed'}"


def row(case, figures, compared):
    """case: (server, protocol, rows); compared: (ratio as text, goal as text)."""
    median = lambda pick: statistics.median(map(pick, figures))
    cpu = [one.cpu for one in figures]
    return (
        *map(str, case),
        f"{statistics.median(cpu):.1f}",
        f"{min(cpu):.1f} - {max(cpu):.1f}",
        f"{median(lambda one: one.rate):.0f}",
        f"{median(lambda one: one.p50):.2f}",
        f"{median(lambda one: one.p99):.2f}",
        *compared,
    )


def show(rows):
    widths = [max(len(line[at]) for line in (COLUMNS, *rows)) for at in range(len(COLUMNS))]
    for line in (COLUMNS, tuple("-" * width for width in widths), *rows):
        cells = (text.ljust(width) if at < 2 else text.rjust(width) for at, (text, width) in enumerate(zip(line, widths)))
        print("| " + " | ".join(cells) + " |")
