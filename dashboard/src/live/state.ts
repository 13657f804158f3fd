import type { Overview, OverviewItem, OverviewUpdate } from '../api/types.ts';

/** One monitor as last heard of, with the end of the bucket its beats were counted to. */
export interface Entry {
  readonly item: OverviewItem;
  readonly bucketEnd: number;
  readonly lastCheck: number | null;
}

export interface LiveState {
  /** The `epoch:sequence` of the newest thing applied; null before the first snapshot. */
  readonly id: string | null;
  readonly entries: ReadonlyMap<string, Entry>;
  readonly bucketSeconds: number;
  readonly bucketEnd: number;
  /** Updates that came before the first snapshot did. */
  readonly waiting: readonly { id: string; update: OverviewUpdate }[];
  /** An update named an epoch we have no snapshot of: only a fresh snapshot can follow. */
  readonly lostTrack: boolean;
}

export const NOTHING: LiveState = {
  id: null,
  entries: new Map(),
  bucketSeconds: 60,
  bucketEnd: 0,
  waiting: [],
  lostTrack: false,
};

const MOST_WAITING = 200;

export function applySnapshot(state: LiveState, overview: Overview): LiveState {
  if (order(overview.id, state.id) === 'older') return state;
  let next: LiveState = {
    id: overview.id,
    entries: new Map(overview.items.map((item) => [item.id, entry(item, overview.bucket_end)])),
    bucketSeconds: overview.bucket_seconds,
    bucketEnd: overview.bucket_end,
    waiting: [],
    lostTrack: false,
  };
  for (const { id, update } of state.waiting) {
    if (order(id, next.id) === 'newer') next = applyUpdate(next, id, update);
  }
  return next;
}

export function applyUpdate(state: LiveState, id: string, update: OverviewUpdate): LiveState {
  if (state.id === null) {
    return { ...state, waiting: [...state.waiting, { id, update }].slice(-MOST_WAITING) };
  }
  const age = order(id, state.id);
  if (age === 'foreign') return state.lostTrack ? state : { ...state, lostTrack: true };
  if (age === 'older') return state;
  const entries = new Map(state.entries);
  for (const item of update.items) entries.set(item.id, entry(item, update.bucket_end));
  for (const removed of update.removed) entries.delete(removed);
  return { ...state, id, entries, bucketEnd: Math.max(state.bucketEnd, update.bucket_end) };
}

function entry(item: OverviewItem, bucketEnd: number): Entry {
  const lastCheck = item.last_check === null ? Number.NaN : Date.parse(item.last_check);
  return { item, bucketEnd, lastCheck: Number.isNaN(lastCheck) ? null : lastCheck };
}

type Order = 'newer' | 'same' | 'older' | 'foreign';

/** How one event id stands to another. Ids of different epochs cannot be compared: the server was restarted. */
export function order(id: string, than: string | null): Order {
  if (than === null) return 'newer';
  const [epoch, sequence] = split(id);
  const [otherEpoch, otherSequence] = split(than);
  if (epoch !== otherEpoch) return 'foreign';
  if (sequence === otherSequence) return 'same';
  return sequence > otherSequence ? 'newer' : 'older';
}

function split(id: string): [epoch: string, sequence: number] {
  const at = id.lastIndexOf(':');
  return [id.slice(0, at), Number(id.slice(at + 1))];
}
