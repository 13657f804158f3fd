import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Status, StatusEvent } from '../api/types.ts';
import { announcer, summarise } from './announce.ts';

function change(name: string, from: Status, to: Status, down = to === 'unhealthy'): StatusEvent {
  const recorded = { sequence: 1, identity: name, time: '', monitor: name, name };
  return { ...recorded, type: 'status', from, to, down, since: '' };
}

describe('summarise', () => {
  it('groups by what became of them, worst first', () => {
    const text = summarise([
      change('docs', 'unhealthy', 'healthy'),
      change('shop', 'healthy', 'unhealthy'),
      change('db', 'healthy', 'degraded'),
      change('api', 'healthy', 'unhealthy'),
    ]);
    expect(text).toBe('2 down: shop, api. 1 degraded: db. 1 healthy again: docs');
  });

  it('names three and counts the rest', () => {
    const text = summarise(['a', 'b', 'c', 'd', 'e'].map((name) => change(name, 'healthy', 'unhealthy')));
    expect(text).toBe('5 down: a, b, c and 2 more');
  });

  it('is silent about what has come and gone, and about first checks', () => {
    expect(summarise([change('a', 'healthy', 'unhealthy'), change('a', 'unhealthy', 'healthy')])).toBe('');
    expect(summarise([change('a', 'paused', 'healthy')])).toBe('');
  });
});

describe('announcer', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('speaks soon, then at most every ten seconds, and never twice', () => {
    const spoken: string[] = [];
    const announce = announcer((text) => spoken.push(text));
    announce(change('a', 'healthy', 'unhealthy'));
    announce(change('b', 'healthy', 'unhealthy'));
    vi.advanceTimersByTime(500);
    expect(spoken).toEqual(['2 down: a, b']);
    announce(change('c', 'healthy', 'unhealthy'));
    vi.advanceTimersByTime(9000);
    expect(spoken).toHaveLength(1);
    vi.advanceTimersByTime(1000);
    expect(spoken).toEqual(['2 down: a, b', '1 down: c']);
    vi.advanceTimersByTime(60_000);
    expect(spoken).toHaveLength(2);
    announce(change('c', 'unhealthy', 'healthy'));
    vi.advanceTimersByTime(500);
    expect(spoken.at(-1)).toBe('1 healthy again: c');
  });
});
