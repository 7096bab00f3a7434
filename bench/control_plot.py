"""The plot of bench/control: how time and memory grow with the number of ModelDeployments, as SVG without any library."""

WIDTH, HEIGHT, MARGIN = 360, 240, 52


def ticks(most):
    """Round numbers from 0 to a little more than `most`."""
    step = 10 ** (len(str(int(most))) - 1)
    step = next(part for part in (step / 5, step / 2, step, 2 * step, 5 * step) if most / part <= 6)
    return [step * at for at in range(int(most / step) + 2)]


def panel(left, title, unit, lines):
    """One diagram: lines of (name, colour, points)."""
    across = ticks(max(x for _, _, points in lines for x, _ in points))
    up = ticks(max(y for _, _, points in lines for _, y in points) or 1)
    x = lambda value: left + MARGIN + value / across[-1] * (WIDTH - MARGIN - 12)
    y = lambda value: HEIGHT - MARGIN / 2 - value / up[-1] * (HEIGHT - MARGIN - 20)
    out = [f'<text x="{left + MARGIN}" y="18" font-weight="bold">{title}</text>']
    for value in up:
        out.append(f'<path d="M{x(0):.1f} {y(value):.1f}H{x(across[-1]):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{x(0) - 6:.1f}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g} {unit}</text>')
    for value in across:
        out.append(f'<text x="{x(value):.1f}" y="{y(0) + 16:.1f}" text-anchor="middle">{value:g}</text>')
    for at, (name, colour, points) in enumerate(lines):
        path = " ".join(f"{x(one):.1f},{y(other):.1f}" for one, other in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<text x="{left + MARGIN + 10}" y="{40 + 16 * at}" fill="{colour}">{name}</text>')
    return "\n".join(out)


def draw(result):
    """`result`: samples of (how many are there, seconds, megabytes) while they were created."""
    ours, floor = result["ours"], result["floor"]
    start = [(0, 0)]
    seconds = panel(0, "seconds until so many are Ready", "s", [
        ("ModelDeployments", "#0b62d6", start + [(there, at) for there, at, _ in ours]),
        ("bare Deployments and Services", "#888", start + [(there, at) for there, at in floor]),
    ])
    memory = panel(WIDTH, "memory of the operator (resident)", "MB", [("", "#0b62d6", [(there, size) for there, _, size in ours])])
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">\n'
            f'<rect width="100%" height="100%" fill="#fff"/>\n{seconds}\n{memory}\n</svg>\n')
