import { describe, expect, it } from 'vitest';
import type { WireOverview } from '../api/types.ts';
import { emptyCounts } from '../status/status.ts';
import { decodeLevels, decodeOverview, lengthen } from './decode.ts';

const WIRE: WireOverview = {
  id: '7:1',
  time: '2026-11-21T10:00:00Z',
  time_zone: 'UTC',
  bucket_seconds: 60,
  bucket_end: 600,
  counts: emptyCounts(),
  statuses: ['healthy', 'degraded', 'unhealthy'],
  groups: [['shop', 1.5, -2, 5]],
  // Not in the server's order, and with a field from the future: places go by names.
  fields: [
    'name',
    'id',
    'kind',
    'status',
    'down',
    'since',
    'reason',
    'latency_ms',
    'uptime_24h',
    'beats',
    'latency',
    'interval_seconds',
    'tags',
    'depends_on',
    'last_check',
    'group',
    'slot',
    'mood',
  ],
  items: [
    [
      'web',
      'a',
      'website',
      2,
      1,
      1_763_719_200,
      'refused',
      12.5,
      0.99,
      '58.hu',
      '58!#~',
      30,
      { env: 'prod' },
      ['b'],
      null,
      0,
      3,
      'blue',
    ],
  ],
};

describe('the overview on the wire', () => {
  it('becomes objects, place by name', () => {
    const { overview } = decodeOverview(WIRE);
    expect(overview.groups).toEqual([{ name: 'shop', x: 1.5, y: -2, radius: 5 }]);
    expect(overview.items[0]).toMatchObject({
      id: 'a',
      name: 'web',
      status: 'unhealthy',
      down: true,
      since: '2025-11-21T10:00:00.000Z',
      reason: 'refused',
      beats: `${'.'.repeat(58)}hu`,
      group: 'shop',
      slot: 3,
      last_check: null,
      depends_on: ['b'],
      tags: { env: 'prod', group: 'shop' },
    });
    expect(overview.items[0]?.latency).toHaveLength(60);
  });

  it('is followed by updates, which may bring new groups', () => {
    const { decoder } = decodeOverview(WIRE);
    const { time, bucket_end, counts, items } = WIRE;
    const update = decoder.update({
      time,
      bucket_end,
      counts,
      items,
      removed: ['z'],
      groups: [['mail', 0, 0, 5]],
    });
    expect(update.items[0]?.group).toBe('mail');
    expect(update.removed).toEqual(['z']);
    expect(decoder.update({ time, bucket_end, counts, items, removed: [] }).items[0]?.group).toBe('mail');
  });

  it('has bars by their runs, and latencies by their letters', () => {
    expect(lengthen('60.')).toBe('.'.repeat(60));
    expect(lengthen('2h?10.u')).toBe(`hh?${'.'.repeat(10)}u`);
    expect(decodeLevels('3!')).toEqual([null, null, null]);
    const [none, lowest, before, after, highest] = decodeLevels('!#/:~');
    expect(none).toBeNull();
    expect(lowest).toBeCloseTo(0.01);
    // The digits between the two are left out.
    expect((after ?? 0) / (before ?? 1)).toBeCloseTo(1.22);
    expect((highest ?? 0) / (0.01 * 1.22 ** 80)).toBeCloseTo(1);
  });
});
