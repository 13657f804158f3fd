import type { History } from '../api/types.ts';

export type Column = (number | null)[];

export interface Aligned {
  times: number[];
  columns: Column[];
}

/**
 * Puts series on one time line. A step without any point becomes a moment where all are null, so that lines stop
 * there: what was not measured is not drawn as if it had been.
 */
export function align(
  series: readonly { points: readonly (readonly [number, number])[] }[],
  stepSeconds: number,
): Aligned {
  const known = new Set<number>();
  for (const { points } of series) for (const [time] of points) known.add(time);
  const times: number[] = [];
  for (const time of [...known].toSorted((left, right) => left - right)) {
    const previous = times.at(-1);
    if (previous !== undefined && stepSeconds > 0 && time - previous > 1.5 * stepSeconds)
      times.push(previous + stepSeconds);
    times.push(time);
  }
  const position = new Map(times.map((time, index) => [time, index]));
  const columns = series.map(({ points }) => {
    const column: Column = new Array(times.length).fill(null);
    for (const [time, value] of points) {
      const index = position.get(time);
      if (index !== undefined) column[index] = value;
    }
    return column;
  });
  return { times, columns };
}

/**
 * Sums the columns from the first to the last. A part that is missing beside others counts nothing, since a check
 * that failed early has no later phases; where all are missing the sum is missing too.
 */
export function stack(columns: readonly Column[]): Column[] {
  const length = columns[0]?.length ?? 0;
  const sums: Column[] = columns.map(() => new Array<number | null>(length).fill(null));
  for (let index = 0; index < length; index += 1) {
    if (columns.every((column) => (column[index] ?? null) === null)) continue;
    let sum = 0;
    columns.forEach((column, which) => {
      sum += column[index] ?? 0;
      const target = sums[which];
      if (target) target[index] = sum;
    });
  }
  return sums;
}

/** The increase of a counter a second between its points; a reset has none. */
export function perSecond(points: readonly (readonly [number, number])[]): [number, number][] {
  const rates: [number, number][] = [];
  for (let index = 1; index < points.length; index += 1) {
    const [before, now] = [points[index - 1], points[index]];
    if (!before || !now || now[1] < before[1] || now[0] <= before[0]) continue;
    rates.push([now[0], (now[1] - before[1]) / (now[0] - before[0])]);
  }
  return rates;
}

/** What distinguishes one series of a metric from its siblings. */
export function seriesLabel(labels: Record<string, string>): string {
  return Object.entries(labels)
    .filter(([key]) => key !== 'monitor' && key !== 'location')
    .map(([, value]) => value)
    .join(', ');
}

export function isEmpty(history: History | undefined): boolean {
  return !history?.series.some(({ points }) => points.length > 0);
}

/** Comma separated text of a chart's data, with times any tool can read. */
export function toCsv(
  times: readonly number[],
  columns: readonly { label: string; values: Column }[],
): string {
  const quote = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const head = ['time', ...columns.map(({ label }) => quote(label))].join(',');
  const lines = times.map((time, index) =>
    [new Date(time * 1000).toISOString(), ...columns.map(({ values }) => values[index] ?? '')].join(','),
  );
  return `${[head, ...lines].join('\n')}\n`;
}
