import { describe, expect, it } from 'vitest';
import type { MetricInfo, Reading } from '../../api/types.ts';
import { perSecond } from '../../charts/series.ts';
import { drawn, readingText, sorted } from './readings-model.ts';

function reading(metric: string, changes: Partial<Reading> = {}): Reading {
  return {
    metric,
    title: metric,
    unit: 'bytes',
    labels: {},
    value: 1,
    quality: 'exact',
    hint: null,
    ...changes,
  };
}

describe('the readings of a probe', () => {
  const readings = [
    reading('db.total_bytes'),
    reading('db.table.size_bytes', { labels: { schema: 'a', table: 'orders' }, value: 2048 }),
    reading('db.table.rows_count', {
      labels: { table: 'orders', schema: 'a' },
      unit: 'count',
      quality: 'estimate',
    }),
    reading('db.table.size_bytes', { labels: { schema: 'a', table: 'users' } }),
    reading('db.slot.bytes', { labels: { slot: 's' }, value: null, quality: 'unknown' }),
  ];

  it('are numbers of the whole, and a table for each kind of part', () => {
    const { whole, tables } = sorted({ readings }, '');
    expect(whole.map(({ metric }) => metric)).toEqual(['db.total_bytes']);
    expect(tables.map(({ labels }) => labels)).toEqual([['schema', 'table'], ['slot']]);
    expect(tables[0]?.metrics.map(({ name }) => name)).toEqual([
      'db.table.size_bytes',
      'db.table.rows_count',
    ]);
    expect(tables[0]?.rows.map((row) => row.cells.map((cell) => cell && readingText(cell)))).toEqual([
      ['2 KiB', '≈ 1'],
      ['1 B', undefined],
    ]);
  });

  it('are searched by name, title and part', () => {
    expect(sorted({ readings }, ' ORDERS ').tables[0]?.rows).toHaveLength(1);
    expect(sorted({ readings }, 'nothing')).toEqual({ whole: [], tables: [] });
  });

  it('say why there is no value', () => {
    const absent = (quality: Reading['quality']) => readingText(reading('m', { value: null, quality }));
    expect(absent('no_permission')).toBe('no permission');
    expect(absent('unsupported')).toBe('not supported');
    expect(absent('unknown')).toBe('not known');
  });
});

describe('the charts drawn', () => {
  const metric = (name: string, warning: number | null = null): MetricInfo => ({
    name,
    title: name,
    unit: 'seconds',
    help: '',
    type: 'gauge',
    warning,
    critical: null,
    direction: 'above',
  });

  it('are all of few, and of many those that tell most and those asked for', () => {
    const few = [metric('a'), metric('b')];
    expect(drawn(few, undefined, [])).toEqual(few);
    const many = [
      metric('db.stage.dns_seconds'),
      metric('db.total_seconds'),
      ...Array.from({ length: 20 }, (_, index) => metric(`db.m${index}`, index % 2 ? 1 : null)),
    ];
    const names = drawn(many, 'db.total_seconds', ['db.m4']).map(({ name }) => name);
    expect(names).toEqual([
      'db.stage.dns_seconds',
      'db.total_seconds',
      'db.m1',
      'db.m3',
      'db.m4',
      'db.m5',
      'db.m7',
      'db.m9',
      'db.m11',
    ]);
  });
});

describe('a counter', () => {
  it('is drawn as its increase a second, without its resets', () => {
    const points: [number, number][] = [
      [0, 10],
      [10, 30],
      [20, 5],
      [30, 5],
    ];
    expect(perSecond(points)).toEqual([
      [10, 2],
      [30, 0],
    ]);
  });
});
