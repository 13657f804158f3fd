import type { OverviewItem, Status } from '../api/types.ts';
import { isStale } from './stale.ts';
import type { Entry } from './state.ts';

/** A monitor as it is shown: its entry, and the status that is still true by now. */
export interface View {
  readonly entry: Entry;
  readonly item: OverviewItem;
  readonly status: Status;
  readonly down: boolean;
  readonly stale: boolean;
}

/** A status that no one has confirmed lately is shown as unknown, above all a green one. */
export function viewOf(entry: Entry, nowMs: number): View {
  const { item } = entry;
  const stale = isStale(entry, nowMs);
  return { entry, item, stale, status: stale ? 'unknown' : item.status, down: !stale && item.down };
}
