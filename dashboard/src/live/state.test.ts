import { describe, expect, it } from 'vitest';
import type { Overview, OverviewItem, OverviewUpdate } from '../api/types.ts';
import { emptyCounts } from '../status/status.ts';
import { alignBeats, currentBucketEnd } from './beats.ts';
import { isStale } from './stale.ts';
import { applySnapshot, applyUpdate, type Entry, NOTHING, order } from './state.ts';
import { viewOf } from './view.ts';

function item(id: string, changes: Partial<OverviewItem> = {}): OverviewItem {
  return {
    id,
    name: id,
    kind: 'website',
    status: 'healthy',
    down: false,
    since: null,
    reason: null,
    latency_ms: 12,
    uptime_24h: 1,
    beats: 'hhhh',
    latency: [1, 2, 3, 4],
    interval_seconds: 60,
    tags: {},
    depends_on: [],
    group: '',
    slot: 0,
    last_check: '2026-11-21T10:00:00Z',
    ...changes,
  };
}

function snapshot(id: string, items: OverviewItem[], changes: Partial<Overview> = {}): Overview {
  return {
    id,
    time: '2026-11-21T10:00:00Z',
    time_zone: 'UTC',
    bucket_seconds: 60,
    bucket_end: 600,
    counts: emptyCounts(),
    groups: [],
    items,
    ...changes,
  };
}

function update(items: OverviewItem[], removed: string[] = [], bucketEnd = 600): OverviewUpdate {
  return {
    items,
    removed,
    counts: emptyCounts(),
    groups: [],
    bucket_end: bucketEnd,
    time: '2026-11-21T10:00:00Z',
  };
}

const names = (state: typeof NOTHING) => [...state.entries.keys()].toSorted();

describe('the order of events', () => {
  it('compares sequences as numbers and epochs not at all', () => {
    expect(order('7:10', '7:9')).toBe('newer');
    expect(order('7:9', '7:10')).toBe('older');
    expect(order('7:10', '7:10')).toBe('same');
    expect(order('8:1', '7:10')).toBe('foreign');
    expect(order('7:1', null)).toBe('newer');
  });
});

describe('the live state', () => {
  it('starts with a snapshot and takes updates and removals', () => {
    let state = applySnapshot(NOTHING, snapshot('7:1', [item('a'), item('b')]));
    state = applyUpdate(state, '7:2', update([item('b', { status: 'unhealthy' }), item('c')], ['a']));
    expect(names(state)).toEqual(['b', 'c']);
    expect(state.entries.get('b')?.item.status).toBe('unhealthy');
    expect(state.id).toBe('7:2');
  });

  it('drops an update that is older than what it knows', () => {
    const state = applySnapshot(NOTHING, snapshot('7:5', [item('a')]));
    expect(applyUpdate(state, '7:4', update([item('a', { status: 'unhealthy' })]))).toBe(state);
  });

  it('takes an event twice without harm', () => {
    const state = applyUpdate(applySnapshot(NOTHING, snapshot('7:5', [item('a')])), '7:6', update([], ['a']));
    expect(names(applyUpdate(state, '7:6', update([], ['a'])))).toEqual([]);
  });

  it('keeps updates that come before the snapshot, and only those that are newer than it', () => {
    let state = applyUpdate(NOTHING, '7:2', update([item('a', { status: 'unhealthy' })]));
    state = applyUpdate(state, '7:4', update([item('b')]));
    expect(names(state)).toEqual([]);
    state = applySnapshot(state, snapshot('7:3', [item('a')]));
    expect(names(state)).toEqual(['a', 'b']);
    expect(state.entries.get('a')?.item.status).toBe('healthy');
    expect(state.id).toBe('7:4');
  });

  it('does not go back to an older snapshot, as polling beside a stream could bring', () => {
    const state = applySnapshot(NOTHING, snapshot('7:5', [item('a')]));
    expect(applySnapshot(state, snapshot('7:4', []))).toBe(state);
  });

  it('starts over with the snapshot of a restarted server', () => {
    const state = applySnapshot(NOTHING, snapshot('7:500', [item('a')]));
    expect(names(applySnapshot(state, snapshot('8:1', [item('b')])))).toEqual(['b']);
  });

  it('notices that it lost track when an update has another epoch', () => {
    const state = applySnapshot(NOTHING, snapshot('7:500', [item('a')]));
    const lost = applyUpdate(state, '8:2', update([item('b')]));
    expect(lost.lostTrack).toBe(true);
    expect(names(lost)).toEqual(['a']);
    expect(applySnapshot(lost, snapshot('8:2', [item('b')])).lostTrack).toBe(false);
  });
});

describe('beats', () => {
  const entry: Entry = {
    item: item('a', { beats: 'hhfu', latency: [1, 2, null, 4] }),
    bucketEnd: 600,
    lastCheck: 0,
  };

  it('stay where they are in their own bucket', () => {
    expect(alignBeats(entry, 600, 60)).toEqual({ beats: 'hhfu', latency: [1, 2, null, 4] });
  });

  it('move with the buckets that have passed without news', () => {
    expect(alignBeats(entry, 720, 60)).toEqual({ beats: 'fu..', latency: [null, 4, null, null] });
  });

  it('leave nothing when all of them are past', () => {
    expect(alignBeats(entry, 60_000, 60)).toEqual({ beats: '....', latency: [null, null, null, null] });
  });

  it('go on by the clock while the server is silent', () => {
    expect(currentBucketEnd(600, 60, 599_000)).toBe(600);
    expect(currentBucketEnd(600, 60, 601_000)).toBe(660);
    expect(currentBucketEnd(0, 60, 601_000)).toBe(0);
  });
});

describe('stale statuses', () => {
  const checked = Date.parse('2026-11-21T10:00:00Z');
  const entry = (changes: Partial<OverviewItem>): Entry => ({
    item: item('a', changes),
    bucketEnd: 0,
    lastCheck: checked,
  });
  const limit = 2 * 60_000 + 30_000;

  it('begin after two intervals and half a minute', () => {
    expect(isStale(entry({}), checked + limit)).toBe(false);
    expect(isStale(entry({}), checked + limit + 1)).toBe(true);
    expect(isStale(entry({ status: 'unhealthy' }), checked + limit + 1)).toBe(true);
  });

  it('are shown as unknown, and no longer as down', () => {
    const down = entry({ status: 'unhealthy', down: true });
    expect(viewOf(down, checked)).toMatchObject({ status: 'unhealthy', down: true, stale: false });
    expect(viewOf(down, checked + limit + 1)).toMatchObject({ status: 'unknown', down: false, stale: true });
    expect(viewOf(entry({}), checked + limit + 1)).toMatchObject({ status: 'unknown' });
  });

  it('depend on the interval of the monitor', () => {
    expect(isStale(entry({ interval_seconds: 3600 }), checked + limit + 1)).toBe(false);
  });

  it('are not what someone has set', () => {
    expect(isStale(entry({ status: 'paused' }), checked + 86_400_000)).toBe(false);
    expect(isStale(entry({ status: 'maintenance' }), checked + 86_400_000)).toBe(false);
  });

  it('are none before the first check', () => {
    expect(isStale({ ...entry({}), lastCheck: null }, checked + 86_400_000)).toBe(false);
  });
});
