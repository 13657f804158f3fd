import type { Entry } from './state.ts';

const GRACE_MS = 30_000;

/**
 * Whether a monitor has not been checked for so long that its status is no longer news. A status that comes from a
 * check goes stale; paused and maintenance were set by someone and stay true.
 */
export function isStale(entry: Entry, nowMs: number): boolean {
  const { status, interval_seconds } = entry.item;
  if (status !== 'healthy' && status !== 'degraded' && status !== 'unhealthy') return false;
  if (entry.lastCheck === null) return false;
  return nowMs - entry.lastCheck > 2 * interval_seconds * 1000 + GRACE_MS;
}
