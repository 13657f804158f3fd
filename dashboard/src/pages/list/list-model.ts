import type { Counts, Status } from '../../api/types.ts';
import type { View } from '../../live/view.ts';
import { emptyCounts, isStatus, STATUSES, severity } from '../../status/status.ts';

export type SortKey = 'problems' | 'name' | 'uptime' | 'latency' | 'checked';
export type Direction = 'ascending' | 'descending';

export interface Filter {
  statuses: ReadonlySet<Status>;
  kind: string | null;
  text: string;
}

export interface Sort {
  key: SortKey;
  direction: Direction;
}

/** The direction in which a column is first sorted: the one that puts what matters on top. */
export const FIRST_DIRECTION: Record<SortKey, Direction> = {
  problems: 'ascending',
  name: 'ascending',
  uptime: 'ascending',
  latency: 'descending',
  checked: 'ascending',
};

export const SORT_LABELS: readonly [SortKey, string][] = [
  ['problems', 'Problems first'],
  ['name', 'Name'],
  ['uptime', 'Uptime'],
  ['latency', 'Latency'],
  ['checked', 'Last check'],
];

/** The filter and the order as the address tells them; what it tells wrongly is left out. */
export function readQuery(query: URLSearchParams): { filter: Filter; sort: Sort } {
  const statuses = new Set((query.get('status') ?? '').split(',').filter(isStatus));
  const asked = query.get('sort');
  const key = SORT_LABELS.find(([candidate]) => candidate === asked)?.[0] ?? 'problems';
  const turned = query.get('order') === 'reverse';
  const first = FIRST_DIRECTION[key];
  const other: Direction = first === 'ascending' ? 'descending' : 'ascending';
  return {
    filter: { statuses, kind: query.get('kind'), text: query.get('q') ?? '' },
    sort: { key, direction: turned ? other : first },
  };
}

/** The address of an order; the default one leaves no trace. */
export function sortQuery({ key, direction }: Sort): Record<string, string | null> {
  return {
    sort: key === 'problems' ? null : key,
    order: direction === FIRST_DIRECTION[key] ? null : 'reverse',
  };
}

export function statusQuery(statuses: ReadonlySet<Status>, toggled: Status): string | null {
  const next = STATUSES.filter((status) => statuses.has(status) !== (status === toggled));
  return next.length > 0 ? next.join(',') : null;
}

export function isFiltering({ statuses, kind, text }: Filter): boolean {
  return statuses.size > 0 || kind !== null || text.trim() !== '';
}

export function filterViews(views: Iterable<View>, filter: Filter): View[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const kept: View[] = [];
  for (const view of views) {
    if (filter.statuses.size > 0 && !filter.statuses.has(view.status)) continue;
    if (filter.kind !== null && view.item.kind !== filter.kind) continue;
    if (words.length > 0) {
      const text = searchText(view);
      if (!words.every((word) => text.includes(word))) continue;
    }
    kept.push(view);
  }
  return kept;
}

function searchText({ item }: View): string {
  const tags = Object.entries(item.tags).map(([key, value]) => `${key}:${value}`);
  return [item.name, item.kind, item.reason ?? '', ...tags].join(' ').toLowerCase();
}

const collator = new Intl.Collator('en', { numeric: true });

export function sortViews(views: readonly View[], { key, direction }: Sort): View[] {
  const sign = direction === 'ascending' ? 1 : -1;
  const byName = (left: View, right: View) => collator.compare(left.item.name, right.item.name);
  return views.toSorted((left, right) => sign * compare(left, right, key) || byName(left, right));
}

function compare(left: View, right: View, key: SortKey): number {
  switch (key) {
    case 'problems':
      return severity(left.status) - severity(right.status) || Number(right.down) - Number(left.down);
    case 'name':
      return collator.compare(left.item.name, right.item.name);
    case 'uptime':
      return numbers(left.item.uptime_24h, right.item.uptime_24h);
    case 'latency':
      return numbers(left.item.latency_ms, right.item.latency_ms);
    case 'checked':
      return numbers(left.entry.lastCheck, right.entry.lastCheck);
  }
}

/** What has no value comes before everything that has: it is news too. */
function numbers(left: number | null, right: number | null): number {
  if (left === null || right === null) return Number(right === null) * 1 - Number(left === null) * 1;
  return left - right;
}

export function countStatuses(views: Iterable<View>): Counts {
  const counts = emptyCounts();
  for (const { status } of views) counts[status] += 1;
  return counts;
}

/** The id of the next problem after (or before) a row, going round at the ends. */
export function nextProblem(
  rows: readonly View[],
  from: string | null,
  step: 1 | -1,
  isProblem: (status: Status) => boolean,
): number {
  const start = rows.findIndex(({ item }) => item.id === from);
  for (let offset = 1; offset <= rows.length; offset += 1) {
    const origin = start < 0 ? (step > 0 ? -1 : 0) : start;
    const index = (origin + step * offset + rows.length * 2) % rows.length;
    const view = rows[index];
    if (view && isProblem(view.status)) return index;
  }
  return -1;
}

/** The names of the things it depends on that are in trouble now. */
export function troubledDependencies(view: View, all: ReadonlyMap<string, View>): string[] {
  const { depends_on } = view.item;
  if (depends_on.length === 0) return [];
  const names: string[] = [];
  for (const reference of depends_on) {
    const dependency = all.get(reference) ?? [...all.values()].find(({ item }) => item.name === reference);
    if (dependency?.status === 'unhealthy') names.push(dependency.item.name);
  }
  return names;
}
