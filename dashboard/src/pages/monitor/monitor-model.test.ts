import { describe, expect, it } from 'vitest';
import type { History, MetricInfo, MonitorEvent } from '../../api/types.ts';
import { chartsOf, namedMetrics, outagesOf } from './charts-model.ts';
import {
  assertionsOf,
  columnsOf,
  fieldText,
  fieldTitle,
  headersOf,
  phasesOf,
  restOf,
} from './evidence-model.ts';
import { absoluteQuery, readRange, relativeQuery, shifted } from './range.ts';

function metric(name: string, changes: Partial<MetricInfo> = {}): MetricInfo {
  return {
    name,
    title: name,
    unit: 'seconds',
    help: '',
    type: 'gauge',
    warning: null,
    critical: null,
    direction: 'above',
    ...changes,
  };
}

function history(name: string, points: [number, number][], labels: Record<string, string> = {}): History {
  return { metric: name, unit: 'seconds', step_seconds: 15, series: [{ labels, points }] };
}

const METRICS = [
  metric('web.phase.dns_seconds', { title: 'DNS' }),
  metric('web.phase.tls_seconds', { title: 'TLS' }),
  metric('web.total_seconds', { title: 'Response time', warning: 1, critical: 5 }),
  metric('web.body_bytes', { title: 'Body size', unit: 'bytes' }),
  metric('web.expires_in_days', { title: 'Expiry', unit: 'days', direction: 'below', warning: 21 }),
];

const given = {
  metrics: METRICS,
  histories: [
    history('web.phase.dns_seconds', [[0, 0.1]]),
    history('web.phase.tls_seconds', [[0, 0.2]]),
    history('web.total_seconds', [[0, 0.4]]),
    history('web.body_bytes', [[0, 900]]),
  ],
  thresholds: {},
  outages: [],
  from: 0,
  to: 60_000,
};

describe('the charts of a page', () => {
  it('stack the phases under the whole they belong to', () => {
    const { phases } = chartsOf(given);
    expect(phases?.stacked.map(({ label }) => label)).toEqual(['DNS', 'TLS']);
    expect(phases?.lines).toEqual([{ label: 'Response time', color: 'series-total', values: [0.4] }]);
    expect(phases).toMatchObject({ title: 'Response time', from: 0, to: 60 });
  });

  it('give every other metric that has data a chart of its own', () => {
    expect(chartsOf(given).others.map(({ title }) => title)).toEqual(['Body size']);
  });

  it('show the bounds that hold, of which an override replaces both', () => {
    expect(chartsOf(given).phases?.thresholds.map(({ label }) => label)).toEqual([
      'Degraded above 1 s',
      'Unhealthy above 5 s',
    ]);
    const thresholds = { 'web.total_seconds': { warning: null, critical: 2 } };
    expect(chartsOf({ ...given, thresholds }).phases?.thresholds.map(({ label }) => label)).toEqual([
      'Unhealthy above 2 s',
    ]);
  });

  it('need no phases', () => {
    const { phases, others } = chartsOf({ ...given, metrics: METRICS.slice(2) });
    expect(phases).toBeNull();
    expect(others.map(({ title }) => title)).toEqual(['Response time', 'Body size']);
  });

  it('ask for no pattern by name', () => {
    expect(namedMetrics([metric('pg.query.*_count'), metric('pg.up_ratio')])).toHaveLength(1);
  });

  it('shade the times when it was down, the last one up to now', () => {
    const at = (since: string, down: boolean) => ({ type: 'status', since, down }) as MonitorEvent;
    const events = [
      { type: 'raised' } as MonitorEvent,
      at('1970-01-01T00:05:00Z', true),
      at('1970-01-01T00:02:00Z', false),
      at('1970-01-01T00:01:00Z', true),
    ];
    expect(outagesOf(events, 360_000)).toEqual([
      { from: 300, to: 360 },
      { from: 60, to: 120 },
    ]);
  });
});

describe('the range', () => {
  const now = Date.parse('2026-11-21T10:00:00Z');
  const read = (query: string) => readRange(new URLSearchParams(query), now);

  it('is six hours to now unless the address says otherwise', () => {
    expect(read('')).toEqual({ key: '6h', from: now - 21_600_000, to: now, live: true });
    expect(read('range=7d&live=0')).toMatchObject({ key: '7d', live: false });
    expect(read('range=1y')).toMatchObject({ key: '1y', from: now - 365 * 86_400_000 });
    expect(read('range=century').key).toBe('6h');
  });

  it('of a new monitor is the shortest that has all of it', () => {
    const first = (seconds: number, query = '') =>
      readRange(new URLSearchParams(query), now, now - seconds * 1000).key;
    expect([0, 60, 900, 901, 3600, 3601, 86_400].map((seconds) => first(seconds))).toEqual([
      '15m',
      '15m',
      '15m',
      '1h',
      '1h',
      '6h',
      '6h',
    ]);
    expect(first(60, 'range=6h')).toBe('6h');
    expect(first(60, 'range=century')).toBe('15m');
  });

  it('has fixed ends, and then is not live', () => {
    const { from, to } = absoluteQuery(now - 60_000, now);
    expect(read(`from=${from}&to=${to}`)).toEqual({ key: null, from: now - 60_000, to: now, live: false });
    expect(read(`from=${to}&to=${from}`).key).toBe('6h');
  });

  it('leaves the address alone when it is the usual one', () => {
    expect(relativeQuery('6h')).toEqual({ range: '6h', from: null, to: null });
    expect(relativeQuery(null)).toEqual({ range: null, from: null, to: null });
  });

  it('moves by half, and never into the future', () => {
    const range = { key: null, from: now - 120_000, to: now - 60_000, live: false };
    expect(shifted(range, -1, now)).toEqual([now - 150_000, now - 90_000]);
    expect(shifted(range, 1, now)).toEqual([now - 90_000, now - 30_000]);
    expect(shifted({ ...range, to: now, from: now - 60_000 }, 1, now)).toEqual([now - 60_000, now]);
  });
});

describe('evidence', () => {
  it('moves the unit from the name to the value', () => {
    expect(fieldTitle('took_ms')).toBe('Took');
    expect(fieldText('took_ms', 2.14)).toBe('2.14 ms');
    expect(fieldTitle('dns_ms')).toBe('DNS');
    expect(fieldTitle('body_bytes')).toBe('Body');
    expect(fieldText('sent_bytes', 2048)).toBe('2 KiB');
    expect(fieldText('error', null)).toBe('–');
    expect(fieldText('names', ['a', 'b'])).toBe('["a","b"]');
  });

  it('keeps the phases that took place, without their sum', () => {
    expect(phasesOf({ dns_ms: 1, connect_ms: 2, tls_ms: null, total_ms: 3 })).toEqual([
      { key: 'dns_ms', milliseconds: 1 },
      { key: 'connect_ms', milliseconds: 2 },
    ]);
    expect(phasesOf({ dns_seconds: 0.5 })).toEqual([{ key: 'dns_seconds', milliseconds: 500 }]);
    expect(phasesOf(null)).toEqual([]);
  });

  it('tells passed, failed and undecided assertions apart', () => {
    const assertions = assertionsOf([
      { assertion: 'a', passed: true, found: null },
      { assertion: 'b', passed: false, found: 'x' },
      { assertion: 'c', passed: null, found: null },
    ]);
    expect(assertions.map(({ passed }) => passed)).toEqual([true, false, null]);
    expect(assertions[1]).toEqual({ text: 'b', passed: false, found: 'x' });
  });

  it('takes headers as pairs, where a name may repeat, or as an object', () => {
    expect(
      headersOf([
        ['vary', 'a'],
        ['vary', 'b'],
      ]),
    ).toEqual([
      ['vary', 'a'],
      ['vary', 'b'],
    ]);
    expect(headersOf({ server: 'nginx' })).toEqual([['server', 'nginx']]);
    expect(headersOf('odd')).toEqual([]);
  });

  it('leaves the rest to the tree', () => {
    expect(restOf({ stage: 'tls', request: {}, tls: { version: '1.3' }, transport: null })).toEqual({
      tls: { version: '1.3' },
    });
    expect(columnsOf([{ a: 1 }, { b: 2, a: 3 }])).toEqual(['a', 'b']);
  });
});
