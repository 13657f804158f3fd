import type { MetricInfo, ProbeReadings, Reading } from '../../api/types.ts';
import { valueText } from '../../units/format.ts';

/** Readings of the target as a whole, and tables of its parts: one for each set of label names. */
export interface Sorted {
  whole: Reading[];
  tables: PartTable[];
}

export interface PartTable {
  /** Names of the labels, which are the first columns. */
  labels: string[];
  /** Metrics, which are the other columns. */
  metrics: { name: string; title: string }[];
  rows: { key: string; labels: string[]; cells: (Reading | undefined)[] }[];
}

/** Sorts the readings of a probe, and leaves out what does not hold the text searched for. */
export function sorted({ readings }: Pick<ProbeReadings, 'readings'>, search: string): Sorted {
  const wanted = search.trim().toLowerCase();
  const holds = ({ metric, title, labels }: Reading) =>
    wanted === '' ||
    [metric, title, ...Object.values(labels)].some((text) => text.toLowerCase().includes(wanted));
  const found = readings.filter(holds);
  const whole = found.filter(({ labels }) => Object.keys(labels).length === 0);
  const groups = new Map<string, Reading[]>();
  for (const reading of found) {
    const names = Object.keys(reading.labels).toSorted().join('\n');
    if (names !== '') groups.set(names, [...(groups.get(names) ?? []), reading]);
  }
  return { whole, tables: [...groups.values()].map(table) };
}

function table(readings: readonly Reading[]): PartTable {
  const labels = Object.keys(readings[0]?.labels ?? {}).toSorted();
  const metrics = new Map<string, string>();
  const rows = new Map<string, PartTable['rows'][number]>();
  for (const { metric, title } of readings) metrics.set(metric, title);
  const columns = [...metrics.keys()];
  for (const reading of readings) {
    const values = labels.map((name) => reading.labels[name] ?? '');
    const key = JSON.stringify(values);
    const row = rows.get(key) ?? { key, labels: values, cells: columns.map(() => undefined) };
    row.cells[columns.indexOf(reading.metric)] = reading;
    rows.set(key, row);
  }
  return {
    labels,
    metrics: columns.map((name) => ({ name, title: metrics.get(name) ?? name })),
    rows: [...rows.values()],
  };
}

const ABSENT: Record<string, string> = {
  unsupported: 'not supported',
  no_permission: 'no permission',
  unknown: 'not known',
};

/** A reading as text: an estimate says that it is one, and what is absent why. */
export function readingText({ value, unit, quality }: Reading): string {
  if (value === null) return ABSENT[quality] ?? '–';
  return (quality === 'estimate' ? '≈ ' : '') + valueText(value, unit);
}

/** A kind with more metrics than this does not draw them all at once. */
const FEW = 16;
/** Charts drawn unasked where there are many. */
const FIRST = 6;

/** The metrics to draw: all where there are few, else those that tell most, and those that were asked for. */
export function drawn(
  metrics: readonly MetricInfo[],
  headline: string | undefined,
  asked: readonly string[],
): MetricInfo[] {
  if (metrics.length <= FEW) return [...metrics];
  const isPart = ({ name }: MetricInfo) => /\.(phase|stage)\./.test(name);
  const bounded = metrics.filter(
    ({ warning, critical, name }) => (warning !== null || critical !== null) && name !== headline,
  );
  const first = new Set(bounded.slice(0, FIRST).map(({ name }) => name));
  return metrics.filter(
    (metric) =>
      isPart(metric) || metric.name === headline || first.has(metric.name) || asked.includes(metric.name),
  );
}
