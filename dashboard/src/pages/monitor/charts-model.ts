import type { History, MetricInfo, MonitorEvent, ThresholdPair } from '../../api/types.ts';
import { align, isEmpty, perSecond, seriesLabel } from '../../charts/series.ts';
import type { ChartSpec } from '../../charts/spec.ts';
import { valueText } from '../../units/format.ts';

export const SERIES_COLORS = [
  'series-1',
  'series-2',
  'series-3',
  'series-4',
  'series-5',
  'series-6',
] as const;

interface Given {
  metrics: readonly MetricInfo[];
  histories: readonly History[];
  thresholds: Record<string, ThresholdPair>;
  outages: ChartSpec['outages'];
  from: number;
  to: number;
}

export interface Charts {
  /** The phases or stages of a check, stacked, with the whole on top; null when the kind has none. */
  phases: ChartSpec | null;
  others: ChartSpec[];
}

/** What a check does one after the other: the phases of a request, the stages of a login. */
const PART = /\.(phase|stage)\./;
/** Lines in one chart: more cannot be told apart. */
const MOST_LINES = SERIES_COLORS.length;

/** Metrics found at run time are declared by a pattern, which is no name to ask for. */
export function namedMetrics(metrics: readonly MetricInfo[]): MetricInfo[] {
  return metrics.filter(({ name }) => !name.includes('*'));
}

/** Every chart of a page, from the catalogue alone: no kind of monitor is known here by name. */
export function chartsOf({ metrics, histories, thresholds, outages, from, to }: Given): Charts {
  const byName = new Map(histories.map((history) => [history.metric, history]));
  const span = { from: from / 1000, to: to / 1000, outages };
  const parts = metrics.filter(({ name }) => PART.test(name));
  const whole = wholeOf(parts, metrics);
  const others = metrics
    .filter((metric) => !parts.includes(metric) && metric !== whole)
    .map((metric) => single(metric, byName.get(metric.name), thresholds, span))
    .filter((spec) => spec !== null);
  if (parts.length === 0) {
    const lone = whole ? single(whole, byName.get(whole.name), thresholds, span) : null;
    return { phases: null, others: lone ? [lone, ...others] : others };
  }
  return { phases: stacked(parts, whole, byName, thresholds, span), others };
}

/** `website.total_seconds` is the whole of `website.phase.dns_seconds` and its siblings. */
function wholeOf(parts: readonly MetricInfo[], metrics: readonly MetricInfo[]): MetricInfo | undefined {
  const [prefix] = parts[0]?.name.split(PART) ?? [];
  return prefix === undefined ? undefined : metrics.find(({ name }) => name === `${prefix}.total_seconds`);
}

type Span = Pick<ChartSpec, 'from' | 'to' | 'outages'>;

function stacked(
  parts: readonly MetricInfo[],
  whole: MetricInfo | undefined,
  histories: ReadonlyMap<string, History>,
  thresholds: Record<string, ThresholdPair>,
  span: Span,
): ChartSpec {
  const shown = whole ? [...parts, whole] : parts;
  const found = shown.map(({ name }) => histories.get(name));
  const step = found.find((history) => history !== undefined)?.step_seconds ?? 0;
  const { times, columns } = align(
    found.map((history) => ({ points: history?.series[0]?.points ?? [] })),
    step,
  );
  const series = shown.map(({ title }, index) => ({ label: title, values: columns[index] ?? [] }));
  return {
    title: whole?.title ?? 'Phases',
    unit: parts[0]?.unit ?? 'seconds',
    times,
    stacked: series.slice(0, parts.length).map((entry, index) => ({ ...entry, color: colorAt(index) })),
    lines: series.slice(parts.length).map((entry) => ({ ...entry, color: 'series-total' })),
    thresholds: whole ? bounds(whole, thresholds[whole.name]) : [],
    ...span,
  };
}

function single(
  metric: MetricInfo,
  history: History | undefined,
  thresholds: Record<string, ThresholdPair>,
  span: Span,
): ChartSpec | null {
  if (!history || isEmpty(history)) return null;
  const isCounter = metric.type === 'counter';
  const shown = largest(history.series).map((series) =>
    isCounter ? { ...series, points: perSecond(series.points) } : series,
  );
  const { times, columns } = align(shown, history.step_seconds);
  return {
    title: isCounter ? `${metric.title} a second` : metric.title,
    unit: isCounter ? 'per_second' : metric.unit,
    times,
    stacked: [],
    lines: shown.map(({ labels }, index) => ({
      label: seriesLabel(labels) || metric.title,
      color: colorAt(index),
      values: columns[index] ?? [],
    })),
    thresholds: bounds(metric, thresholds[metric.name]),
    ...span,
  };
}

/** The series with the largest last values. */
function largest(series: History['series']): History['series'] {
  if (series.length <= MOST_LINES) return series;
  const last = ({ points }: History['series'][number]) => points.at(-1)?.[1] ?? Number.NEGATIVE_INFINITY;
  return series.toSorted((left, right) => last(right) - last(left)).slice(0, MOST_LINES);
}

function colorAt(index: number): string {
  return SERIES_COLORS[index % SERIES_COLORS.length] ?? SERIES_COLORS[0];
}

/** The bounds that hold: an override replaces both, and one that is null is switched off. */
function bounds(metric: MetricInfo, override: ThresholdPair | undefined): ChartSpec['thresholds'] {
  const { warning, critical } = override ?? metric;
  const word = metric.direction === 'below' ? 'below' : 'above';
  const lines: ChartSpec['thresholds'] = [];
  if (typeof warning === 'number') {
    lines.push({
      label: `Degraded ${word} ${valueText(warning, metric.unit)}`,
      value: warning,
      color: 'warn-bar',
    });
  }
  if (typeof critical === 'number') {
    lines.push({
      label: `Unhealthy ${word} ${valueText(critical, metric.unit)}`,
      value: critical,
      color: 'bad-bar',
    });
  }
  return lines;
}

/** When it was down, in seconds, from events that are newest first. */
export function outagesOf(events: readonly MonitorEvent[], nowMs: number): ChartSpec['outages'] {
  const spans: ChartSpec['outages'] = [];
  let end = nowMs;
  for (const event of events) {
    if (event.type !== 'status') continue;
    const start = Date.parse(event.since);
    if (event.down) spans.push({ from: start / 1000, to: end / 1000 });
    end = start;
  }
  return spans;
}
