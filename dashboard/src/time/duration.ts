/** From large to small, which is also the order in which they may be written. */
const UNITS: readonly [unit: string, seconds: number][] = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
  ['ms', 0.001],
];

/**
 * Seconds of duration text such as `500ms`, `30s` or `1h30m`; null when it is none. Units go from large to small and
 * each at most once, as on the server, so that a slip such as `1s1h` is caught here already.
 */
export function parseDuration(text: string): number | null {
  const trimmed = text.trim();
  if (!/^(?:\d+[a-z]+\s*)+$/.test(trimmed)) return null;
  let seconds = 0;
  let last = -1;
  for (const [, amount, name] of trimmed.matchAll(/(\d+)([a-z]+)/g)) {
    const rank = UNITS.findIndex(([unit]) => unit === name);
    if (rank <= last) return null;
    last = rank;
    seconds += Number(amount) * (UNITS[rank]?.[1] ?? 0);
  }
  return seconds;
}

/** Whether two duration texts mean the same, however they are written. */
export function sameDuration(left: string, right: string): boolean {
  const seconds = parseDuration(left);
  return seconds !== null && seconds === parseDuration(right);
}
