import type { StatusEvent } from '../api/types.ts';
import { isProblem } from '../status/status.ts';

const MOST_NAMES = 3;

/** One sentence for a burst of changes, so that a screen reader is told once and not per monitor. */
export function summarise(changes: readonly StatusEvent[]): string {
  const latest = new Map<string, StatusEvent>();
  const before = new Map<string, StatusEvent>();
  for (const change of changes) {
    latest.set(change.monitor, change);
    if (!before.has(change.monitor)) before.set(change.monitor, change);
  }
  const groups = {
    down: [] as string[],
    unhealthy: [] as string[],
    degraded: [] as string[],
    unknown: [] as string[],
    healthy: [] as string[],
  };
  for (const [monitor, { name, to, down }] of latest) {
    const started = before.get(monitor);
    if (started?.from === to && !down) continue;
    const label = name ?? monitor;
    if (to === 'unhealthy') groups[down ? 'down' : 'unhealthy'].push(label);
    else if (to === 'degraded' || to === 'unknown') groups[to].push(label);
    else if (to === 'healthy' && isProblem(started?.from ?? 'healthy')) groups.healthy.push(label);
  }
  const parts = [
    list(groups.down, 'down'),
    list(groups.unhealthy, 'unhealthy'),
    list(groups.degraded, 'degraded'),
    list(groups.unknown, 'unknown'),
    list(groups.healthy, 'healthy again'),
  ];
  return parts.filter(Boolean).join('. ');
}

function list(names: string[], what: string): string {
  if (names.length === 0) return '';
  const shown = names.slice(0, MOST_NAMES).join(', ');
  const rest = names.length - MOST_NAMES;
  return `${names.length} ${what}: ${shown}${rest > 0 ? ` and ${rest} more` : ''}`;
}

/** Collects changes and speaks at most once in `pauseMs`; the first one of a quiet time is spoken at once. */
export function announcer(speak: (text: string) => void, pauseMs = 10_000): (change: StatusEvent) => void {
  let collected: StatusEvent[] = [];
  let resting = false;
  const say = () => {
    const text = summarise(collected);
    collected = [];
    resting = text !== '';
    if (text === '') return;
    speak(text);
    setTimeout(say, pauseMs);
  };
  return (change) => {
    collected.push(change);
    if (resting) return;
    resting = true;
    // A dependency that fails takes others with it within moments; they belong in the same sentence.
    setTimeout(say, Math.min(500, pauseMs));
  };
}
