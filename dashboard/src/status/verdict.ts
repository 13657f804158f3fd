import type { Status } from '../api/types.ts';
import type { View } from '../live/view.ts';
import { isProblem, severity, statusWord } from './status.ts';

export interface VerdictPart {
  status: Status;
  down: boolean;
  count: number;
  /** The first few by name; the count tells how many there are. */
  named: { id: string; name: string }[];
}

export interface Verdict {
  /** The worst status there is, for colours, the title and the icon of the tab. */
  worst: Status;
  total: number;
  healthy: number;
  paused: number;
  maintenance: number;
  problems: VerdictPart[];
  lastCheck: number | null;
}

const MOST_NAMED = 3;

export function verdictOf(views: Iterable<View>): Verdict {
  const verdict: Verdict = {
    worst: 'healthy',
    total: 0,
    healthy: 0,
    paused: 0,
    maintenance: 0,
    problems: [],
    lastCheck: null,
  };
  const parts = new Map<string, VerdictPart>();
  for (const { item, status, down, entry } of views) {
    verdict.total += 1;
    if (entry.lastCheck !== null && entry.lastCheck > (verdict.lastCheck ?? 0))
      verdict.lastCheck = entry.lastCheck;
    if (!isProblem(status)) {
      if (status === 'healthy' || status === 'paused' || status === 'maintenance') verdict[status] += 1;
      continue;
    }
    if (severity(status) < severity(verdict.worst)) verdict.worst = status;
    const key = down ? 'down' : status;
    const part = parts.get(key) ?? { status, down, count: 0, named: [] };
    part.count += 1;
    part.named.push({ id: item.id, name: item.name });
    parts.set(key, part);
  }
  verdict.problems = [...parts.values()].toSorted(
    (left, right) => severity(left.status) - severity(right.status) || Number(right.down) - Number(left.down),
  );
  for (const part of verdict.problems) {
    part.named = part.named
      .toSorted((left, right) => left.name.localeCompare(right.name))
      .slice(0, MOST_NAMED);
  }
  return verdict;
}

/** `1 down`, `2 degraded`: how the title of the tab begins. Empty when nothing is wrong. */
export function verdictTitle({ problems }: Verdict): string {
  return problems
    .map((part) => `${part.count} ${statusWord(part.status, part.down).toLowerCase()}`)
    .join(', ');
}

/** `All 12 healthy`, or what is left out of that. */
export function calmText({ total, healthy, paused, maintenance }: Verdict): string {
  if (total === 0) return 'No monitors yet';
  const aside = [maintenance && `${maintenance} in maintenance`, paused && `${paused} paused`]
    .filter(Boolean)
    .join(', ');
  if (healthy === 0) return `Nothing is being checked: ${aside}`;
  const all = healthy === 1 && total === 1 ? 'The one monitor is healthy' : `All ${healthy} healthy`;
  return aside ? `${all}, ${aside}` : all;
}
