import { describe, expect, it } from 'vitest';
import type { OverviewItem, Status } from '../../api/types.ts';
import type { View } from '../../live/view.ts';
import { isProblem } from '../../status/status.ts';
import { calmText, verdictOf, verdictTitle } from '../../status/verdict.ts';
import {
  countStatuses,
  filterViews,
  nextProblem,
  readQuery,
  sortQuery,
  sortViews,
  statusQuery,
  troubledDependencies,
} from './list-model.ts';
import { rowsInSight } from './window.ts';

function view(
  name: string,
  status: Status,
  changes: Partial<OverviewItem> = {},
  lastCheck: number | null = 1000,
): View {
  const item: OverviewItem = {
    id: `id-${name}`,
    name,
    kind: 'website',
    status,
    down: status === 'unhealthy',
    since: null,
    reason: null,
    latency_ms: null,
    uptime_24h: null,
    beats: '',
    latency: [],
    interval_seconds: 60,
    tags: {},
    depends_on: [],
    group: '',
    slot: 0,
    last_check: null,
    ...changes,
  };
  return { entry: { item, bucketEnd: 0, lastCheck }, item, status, down: item.down, stale: false };
}

const names = (views: readonly View[]) => views.map(({ item }) => item.name);
const read = (query: string) => readQuery(new URLSearchParams(query));

const ALL = [
  view('web-10', 'healthy', { latency_ms: 30, uptime_24h: 1, tags: { team: 'shop' } }),
  view('web-9', 'healthy', { latency_ms: 10, uptime_24h: 0.99 }),
  view('db', 'degraded', { kind: 'postgresql', latency_ms: 20 }),
  view('mail', 'unhealthy', { reason: 'connection refused', down: false }),
  view('shop', 'unhealthy', { depends_on: ['db', 'id-mail'] }),
  view('old', 'paused'),
  view('feed', 'unknown'),
];

describe('the query of the list', () => {
  it('has problems first, and forgives nonsense', () => {
    expect(read('sort=colour&status=healthy,purple').sort).toEqual({
      key: 'problems',
      direction: 'ascending',
    });
    expect([...read('status=healthy,purple').filter.statuses]).toEqual(['healthy']);
  });

  it('goes there and back', () => {
    for (const key of ['problems', 'name', 'uptime', 'latency', 'checked'] as const) {
      for (const direction of ['ascending', 'descending'] as const) {
        const query = new URLSearchParams();
        for (const [name, value] of Object.entries(sortQuery({ key, direction })))
          if (value) query.set(name, value);
        expect(readQuery(query).sort).toEqual({ key, direction });
      }
    }
  });

  it('toggles a status', () => {
    expect(statusQuery(new Set(['healthy']), 'unhealthy')).toBe('unhealthy,healthy');
    expect(statusQuery(new Set(['healthy']), 'healthy')).toBeNull();
  });
});

describe('filtering', () => {
  const filter = (query: string) => names(filterViews(ALL, read(query).filter));

  it('finds words in name, kind, reason and tags, all of them', () => {
    expect(filter('q=WEB-')).toEqual(['web-10', 'web-9']);
    expect(filter('q=refused')).toEqual(['mail']);
    expect(filter('q=team:shop')).toEqual(['web-10']);
    expect(filter('q=web-+shop')).toEqual(['web-10']);
  });

  it('keeps the statuses and the kind asked for', () => {
    expect(filter('status=paused,degraded')).toEqual(['db', 'old']);
    expect(filter('kind=postgresql')).toEqual(['db']);
  });

  it('counts what is shown, not what was reported', () => {
    const stale = { ...view('x', 'healthy'), status: 'unknown' as const, stale: true };
    expect(countStatuses([...ALL, stale])).toMatchObject({ unhealthy: 2, unknown: 2, healthy: 2, paused: 1 });
  });
});

describe('sorting', () => {
  const sort = (query: string) => names(sortViews(ALL, read(query).sort));

  it('puts problems first, what is down before what is slow, then by name', () => {
    expect(sort('')).toEqual(['shop', 'mail', 'db', 'feed', 'web-9', 'web-10', 'old']);
  });

  it('sorts names as people do', () => {
    expect(sort('sort=name').slice(-2)).toEqual(['web-9', 'web-10']);
  });

  it('puts the slowest on top, and turns round', () => {
    expect(sort('sort=latency').slice(0, 3)).toEqual(['web-10', 'db', 'web-9']);
    expect(sort('sort=latency&order=reverse').slice(-3)).toEqual(['web-9', 'db', 'web-10']);
  });
});

describe('jumping from problem to problem', () => {
  const rows = ALL;

  it('goes on after the row one is on, and round at the end', () => {
    expect(nextProblem(rows, null, 1, isProblem)).toBe(2);
    expect(nextProblem(rows, 'id-db', 1, isProblem)).toBe(3);
    expect(nextProblem(rows, 'id-feed', 1, isProblem)).toBe(2);
  });

  it('goes back too', () => {
    expect(nextProblem(rows, 'id-mail', -1, isProblem)).toBe(2);
    expect(nextProblem(rows, 'id-db', -1, isProblem)).toBe(6);
    expect(nextProblem(rows, null, -1, isProblem)).toBe(6);
  });

  it('goes nowhere when all is well', () => {
    expect(nextProblem([view('a', 'healthy')], null, 1, isProblem)).toBe(-1);
    expect(nextProblem([], null, 1, isProblem)).toBe(-1);
  });
});

it('names dependencies in trouble, known by id or by name', () => {
  const byId = new Map(ALL.map((entry) => [entry.item.id, entry]));
  expect(
    troubledDependencies(view('x', 'unhealthy', { depends_on: ['mail', 'id-shop', 'web-9', 'gone'] }), byId),
  ).toEqual(['mail', 'shop']);
});

describe('the verdict', () => {
  it('names what is wrong, worst first', () => {
    const verdict = verdictOf(ALL);
    expect(verdict.worst).toBe('unhealthy');
    expect(verdictTitle(verdict)).toBe('1 down, 1 unhealthy, 1 degraded, 1 unknown');
    expect(verdict.problems[0]).toEqual({
      status: 'unhealthy',
      down: true,
      count: 1,
      named: [{ id: 'id-shop', name: 'shop' }],
    });
  });

  it('names three and counts the rest', () => {
    const many = ['d', 'b', 'a', 'c'].map((name) => view(name, 'unhealthy'));
    expect(verdictOf(many).problems[0]).toMatchObject({
      count: 4,
      named: [{ name: 'a' }, { name: 'b' }, { name: 'c' }],
    });
  });

  it('is calm when nothing is wrong', () => {
    expect(calmText(verdictOf([]))).toBe('No monitors yet');
    expect(calmText(verdictOf([view('a', 'healthy')]))).toBe('The one monitor is healthy');
    expect(calmText(verdictOf([view('a', 'healthy'), view('b', 'healthy'), view('c', 'paused')]))).toBe(
      'All 2 healthy, 1 paused',
    );
    expect(calmText(verdictOf([view('c', 'paused')]))).toBe('Nothing is being checked: 1 paused');
    expect(verdictOf([view('a', 'healthy')]).worst).toBe('healthy');
  });
});

describe('the window of rows', () => {
  it('draws all of a short list', () => {
    expect(rowsInSight(100, 68, 0, 800)).toEqual({ first: 0, last: 100 });
  });

  it('draws what is in sight of a long one, and a few around it', () => {
    expect(rowsInSight(10_000, 50, -5000, 500)).toEqual({ first: 92, last: 118 });
  });

  it('stays within the list', () => {
    expect(rowsInSight(10_000, 50, 300, 500)).toEqual({ first: 0, last: 12 });
    expect(rowsInSight(200, 50, -9_999_999, 500)).toEqual({ first: 200, last: 200 });
  });
});
