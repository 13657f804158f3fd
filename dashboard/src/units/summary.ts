export interface Summary {
  min: number;
  mean: number;
  p95: number;
  max: number;
  last: number;
  count: number;
}

/** What a chart says in numbers; null when it holds none. */
export function summarise(values: readonly (number | null | undefined)[]): Summary | null {
  const numbers = values.filter(
    (value): value is number => typeof value === 'number' && !Number.isNaN(value),
  );
  const last = numbers.at(-1);
  if (last === undefined) return null;
  const sorted = numbers.toSorted((left, right) => left - right);
  const at = (index: number) => sorted[Math.min(sorted.length - 1, Math.max(0, index))] ?? last;
  return {
    min: at(0),
    mean: numbers.reduce((sum, value) => sum + value, 0) / numbers.length,
    p95: at(Math.ceil(sorted.length * 0.95) - 1),
    max: at(sorted.length - 1),
    last,
    count: numbers.length,
  };
}
