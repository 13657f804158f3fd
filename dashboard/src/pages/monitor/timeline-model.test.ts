import { describe, expect, it } from 'vitest';
import type { Condition, MonitorEvent, Plugin } from '../../api/types.ts';
import { conditionTitle, entriesOf } from './timeline-model.ts';

const reason = { class: 'threshold', code: null, message: 'too large', probe: null, metric: null, value: 5 };
const table: Condition = {
  key: 'threshold:t.size_bytes,table="orders"',
  kind: 'threshold',
  probe: 'storage',
  metric: 't.size_bytes',
  labels: { schema: 'public', table: 'orders' },
  severity: 'warning',
  since: '1970-01-01T00:00:10Z',
  reason,
};
const plugin = {
  probes: [{ name: 'storage', title: 'Storage' }],
  metrics: [{ name: 't.size_bytes', title: 'Size' }],
} as unknown as Plugin;

let sequence = 0;
function event(second: number, rest: object): MonitorEvent {
  sequence += 1;
  const time = new Date(second * 1000).toISOString();
  return { sequence, identity: `${sequence}`, time, monitor: 'm', ...rest } as MonitorEvent;
}

const at = (second: number) => new Date(second * 1000).toISOString();

describe('the timeline', () => {
  it('says how long each status lasted, from when it held', () => {
    const events = [
      event(60, { type: 'status', to: 'healthy', down: false, since: at(60) }),
      event(40, { type: 'status', to: 'unhealthy', down: true, since: at(30), reason }),
    ];
    const shown = entriesOf(events, plugin, 100_000);
    expect(shown.map(({ title, lasted, isOpen }) => [title, lasted, isOpen])).toEqual([
      ['Healthy', 40_000, true],
      ['Down', 30_000, false],
    ]);
    expect(shown[1]).toMatchObject({ time: at(30), reason: 'too large' });
  });

  it('has a condition only where the status did not say it', () => {
    const events = [
      event(50, { type: 'cleared', condition: table, cause: 'gone' }),
      event(40, { type: 'raised', condition: { ...table, labels: { table: 'second' } } }),
      event(30, { type: 'status', to: 'degraded', down: false, since: at(30), reason }),
      event(30, { type: 'raised', condition: table }),
    ];
    expect(entriesOf(events, plugin, 60_000).map(({ title, icon }) => [title, icon])).toEqual([
      ['Size of public, orders: no longer there', 'healthy'],
      ['Size of second', 'degraded'],
      ['Degraded', 'degraded'],
    ]);
  });

  it('shows when no one watched', () => {
    const gap = event(90, { type: 'gap', since: at(30), until: at(90), reason });
    expect(entriesOf([gap], plugin, 100_000)).toMatchObject([
      { title: 'Not watched', lasted: 60_000, icon: 'unknown', time: at(30) },
    ]);
  });
});

describe('a condition', () => {
  it('is named by what it is about', () => {
    const of = (kind: Condition['kind']) => conditionTitle({ ...table, kind }, plugin);
    expect(of('down')).toBe('Down');
    expect(of('probe_failing')).toBe('Storage fails');
    expect(of('unknown')).toBe('Storage cannot be checked');
    expect(conditionTitle({ ...table, metric: 't.query.lag', labels: {} }, undefined)).toBe('T.query.lag');
  });
});
