const UNITS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds of duration text such as `500ms`, `30s` or `1h30m`; null when it is no duration. */
export function parseDuration(text: string): number | null {
  const trimmed = text.trim();
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(trimmed)) return null;
  let seconds = 0;
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    seconds += Number(amount) * (UNITS[unit ?? ''] ?? Number.NaN);
  }
  return Number.isFinite(seconds) ? seconds : null;
}

/** Whether two duration texts mean the same, however they are written. */
export function sameDuration(left: string, right: string): boolean {
  const seconds = parseDuration(left);
  return seconds === null ? left === right : seconds === parseDuration(right);
}
