import type { Counts, Status } from '../api/types.ts';

/** Worst first: the order of every list, filter and count. */
export const STATUSES: readonly Status[] = [
  'unhealthy',
  'degraded',
  'unknown',
  'healthy',
  'maintenance',
  'paused',
];

const WORDS: Record<Status, string> = {
  unhealthy: 'Unhealthy',
  degraded: 'Degraded',
  unknown: 'Unknown',
  healthy: 'Healthy',
  maintenance: 'Maintenance',
  paused: 'Paused',
};

export function isStatus(text: string): text is Status {
  return (STATUSES as readonly string[]).includes(text);
}

/** The word a person reads: an unhealthy monitor that cannot be reached at all is down. */
export function statusWord(status: Status, down = false): string {
  return status === 'unhealthy' && down ? 'Down' : WORDS[status];
}

export function severity(status: Status): number {
  return STATUSES.indexOf(status);
}

/** Whether someone may have to act on it. */
export function isProblem(status: Status): boolean {
  return status === 'unhealthy' || status === 'degraded' || status === 'unknown';
}

export function emptyCounts(): Counts {
  return { healthy: 0, degraded: 0, unhealthy: 0, unknown: 0, paused: 0, maintenance: 0 };
}

/** What one character of a heartbeat stands for. */
export type Beat =
  | 'healthy'
  | 'degraded'
  | 'unhealthy'
  | 'failed'
  | 'unknown'
  | 'paused'
  | 'maintenance'
  | 'none';

const BEATS: Record<string, Beat> = {
  h: 'healthy',
  d: 'degraded',
  u: 'unhealthy',
  f: 'failed',
  '?': 'unknown',
  p: 'paused',
  m: 'maintenance',
};

export function beatOf(character: string | undefined): Beat {
  return BEATS[character ?? ''] ?? 'none';
}

export function beatWord(beat: Beat): string {
  if (beat === 'failed') return 'Check failed';
  if (beat === 'none') return 'No data';
  return WORDS[beat];
}
