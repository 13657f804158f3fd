const WIDTH = 96;
const HEIGHT = 24;

/** The line and the area below it; a missing value leaves a gap. */
export function sparklinePaths(values: readonly (number | null)[]): { line: string; area: string } {
  const top = Math.max(...values.map((value) => value ?? 0));
  const step = values.length > 1 ? WIDTH / (values.length - 1) : 0;
  const round = (value: number) => Math.round(value * 10) / 10;
  let line = '';
  let area = '';
  let runStart: number | null = null;
  values.forEach((value, index) => {
    if (value === null) return;
    const x = round(index * step);
    const y = round(HEIGHT - 1.5 - (top > 0 ? (value / top) * (HEIGHT - 4) : 0));
    if (runStart === null) {
      runStart = x;
      line += `M${x} ${y}`;
      area += `M${x} ${HEIGHT}V${y}`;
    } else {
      line += `L${x} ${y}`;
      area += `L${x} ${y}`;
    }
    if (values[index + 1] === undefined || values[index + 1] === null) {
      // A lone value has no line of its own, so it becomes a dot of a round cap's size.
      if (runStart === x) line += 'h0.1';
      area += `V${HEIGHT}Z`;
      runStart = null;
    }
  });
  return { line, area };
}

/** The shape of the latency. The numbers stand beside it as text, so it is hidden from screen readers. */
export function Sparkline({ values }: { values: readonly (number | null)[] }) {
  const { line, area } = sparklinePaths(values);
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="sparkline-area" d={area} />
      <path class="sparkline-line" d={line} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
