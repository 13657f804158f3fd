import type { Condition, MonitorEvent, Plugin, Status } from '../../api/types.ts';
import { statusWord } from '../../status/status.ts';
import { sentence, titleOf } from '../../units/words.ts';

/** An entry of the timeline. */
export interface Entry {
  sequence: number;
  icon: Status;
  title: string;
  reason: string | null;
  /** When it began. */
  time: string;
  /** How long it lasted, in milliseconds, of what has a length. */
  lasted: number | null;
  isOpen: boolean;
}

/**
 * Entries from events that are newest first. What a change of status says already is not said again by the condition
 * behind it: only conditions that left the status as it was have an entry of their own.
 */
export function entriesOf(
  events: readonly MonitorEvent[],
  plugin: Plugin | undefined,
  nowMs: number,
): Entry[] {
  const entries: Entry[] = [];
  let end = nowMs;
  let isOpen = true;
  for (const [index, event] of events.entries()) {
    const base = { sequence: event.sequence, time: event.time, reason: null, lasted: null, isOpen: false };
    switch (event.type) {
      case 'status': {
        const start = Date.parse(event.since);
        const title = statusWord(event.to, event.down);
        const reason = event.reason?.message ?? null;
        entries.push({
          ...base,
          icon: event.to,
          title,
          reason,
          time: event.since,
          // One that is decided later may have begun before the one before it.
          lasted: Math.max(0, end - start),
          isOpen,
        });
        end = Math.min(end, start);
        isOpen = false;
        break;
      }
      case 'gap': {
        const lasted = Date.parse(event.until) - Date.parse(event.since);
        const reason = event.reason.message;
        entries.push({ ...base, icon: 'unknown', title: 'Not watched', reason, time: event.since, lasted });
        break;
      }
      case 'removed':
      case 'restored':
        entries.push({
          ...base,
          icon: 'paused',
          title: event.type === 'removed' ? 'Removed' : 'Brought back',
        });
        break;
      default:
        if (!isToldByStatus(events, index)) entries.push({ ...base, ...ofCondition(event, plugin) });
    }
  }
  return entries;
}

/** Whether the change of status by the same check says it too: it has the same reason, or all is well again. */
function isToldByStatus(events: readonly MonitorEvent[], index: number): boolean {
  const event = events[index];
  if (event === undefined || !('condition' in event)) return false;
  for (let at = index - 1; at >= 0 && events[at]?.time === event.time; at -= 1) {
    const status = events[at];
    if (status?.type !== 'status') continue;
    return event.type === 'cleared' || status.reason?.message === event.condition.reason.message;
  }
  return false;
}

function ofCondition(
  event: Extract<MonitorEvent, { condition: Condition }>,
  plugin: Plugin | undefined,
): Pick<Entry, 'icon' | 'title' | 'reason'> {
  const what = conditionTitle(event.condition, plugin);
  if (event.type === 'cleared') {
    const causes = { recovered: 'over', gone: 'no longer there', edited: 'no longer looked at' };
    return { icon: 'healthy', title: `${what}: ${causes[event.cause ?? 'recovered']}`, reason: null };
  }
  const icon = iconOf(event.condition);
  return { icon, title: what, reason: event.condition.reason.message };
}

/** The status whose colour a condition has. */
export function iconOf({ kind, severity }: Condition): Status {
  if (kind === 'unknown') return 'unknown';
  return severity === 'critical' ? 'unhealthy' : 'degraded';
}

/** What a condition is about, in a few words. */
export function conditionTitle(condition: Condition, plugin: Plugin | undefined): string {
  const probe =
    plugin?.probes.find(({ name }) => name === condition.probe)?.title ?? titleOf(condition.probe);
  switch (condition.kind) {
    case 'down':
      return 'Down';
    case 'probe_failing':
      return `${probe} fails`;
    case 'unknown':
      return `${probe} cannot be checked`;
    case 'threshold': {
      const metric = plugin?.metrics.find(({ name }) => name === condition.metric);
      const part = Object.values(condition.labels ?? {}).join(', ');
      const title = metric?.title ?? sentence(condition.metric ?? '');
      return part ? `${title} of ${part}` : title;
    }
  }
}
