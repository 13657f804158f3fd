export interface Range {
  /** The name of a relative range, null for one with fixed ends. */
  key: string | null;
  /** Milliseconds. */
  from: number;
  to: number;
  live: boolean;
}

export const RANGES: readonly [key: string, seconds: number, label: string][] = [
  ['15m', 900, '15 min'],
  ['1h', 3600, '1 h'],
  ['6h', 21_600, '6 h'],
  ['24h', 86_400, '24 h'],
  ['7d', 604_800, '7 d'],
  ['30d', 2_592_000, '30 d'],
  ['90d', 7_776_000, '90 d'],
  ['1y', 31_536_000, '1 y'],
];

/** The longest range that is shown unless the address says otherwise. */
const DEFAULT_SECONDS = 21_600;

/**
 * The range the address asks for: `range=6h`, or `from` and `to`. Without one, or with a wrong one, six hours, or the
 * shortest range that has all of a monitor that was created later: a minute of data in six hours is a dot.
 */
export function readRange(query: URLSearchParams, nowMs: number, createdMs = 0): Range {
  const from = Date.parse(query.get('from') ?? '');
  const to = Date.parse(query.get('to') ?? '');
  if (from < to) return { key: null, from, to, live: false };
  const asked = query.get('range');
  const wanted = Math.min(DEFAULT_SECONDS, (nowMs - createdMs) / 1000);
  const [key, seconds] = RANGES.find(([candidate]) => candidate === asked) ??
    RANGES.find(([, seconds]) => seconds >= wanted) ?? ['6h', DEFAULT_SECONDS];
  return { key, from: nowMs - seconds * 1000, to: nowMs, live: query.get('live') !== '0' };
}

/** Asks for a relative range; without a key for the one that is shown first. */
export function relativeQuery(key: string | null): Record<string, string | null> {
  return { range: key, from: null, to: null };
}

export function absoluteQuery(from: number, to: number): Record<string, string | null> {
  return { range: null, live: null, from: new Date(from).toISOString(), to: new Date(to).toISOString() };
}

/** The same span earlier or later, never beyond now. */
export function shifted({ from, to }: Range, direction: 1 | -1, nowMs: number): [from: number, to: number] {
  const span = to - from;
  const end = Math.min(nowMs, to + (direction * span) / 2);
  return [end - span, end];
}
