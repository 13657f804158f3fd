import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Overview } from '../api/types.ts';
import type { Connection, LiveMessage } from './messages.ts';
import { type EventStream, LiveSource } from './source.ts';

/** An empty overview as it comes from the server. */
function empty(id = '1:0') {
  return { id, fields: [], statuses: [], groups: [], items: [] };
}

class FakeStream implements EventStream {
  readyState = 0;
  closed = false;
  readonly #listeners = new Map<string, ((event: MessageEvent<string>) => void)[]>();

  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  close(): void {
    this.closed = true;
    this.readyState = 2;
  }

  send(type: string, data: unknown = empty(), lastEventId = ''): void {
    for (const listener of this.#listeners.get(type) ?? []) {
      listener(new MessageEvent(type, { data: JSON.stringify(data), lastEventId }));
    }
  }

  /** The browser reconnects by itself after this. */
  stumble(): void {
    this.readyState = 0;
    this.send('error');
  }

  /** The browser has given up, as it does on an HTTP error. */
  fail(): void {
    this.readyState = 2;
    this.send('error');
  }
}

describe('the live source', () => {
  let streams: FakeStream[];
  let messages: LiveMessage[];
  let polls: number;
  let source: LiveSource;

  const last = () => streams.at(-1) ?? new FakeStream();
  const connections = () =>
    messages.filter((message) => message.type === 'connection').map(({ connection }) => connection);
  const connection = (): Connection | undefined => connections().at(-1);

  beforeEach(() => {
    vi.useFakeTimers();
    streams = [];
    messages = [];
    polls = 0;
    source = new LiveSource({
      open: () => {
        const stream = new FakeStream();
        streams.push(stream);
        return stream;
      },
      fetchOverview: async () => {
        polls += 1;
        return { id: `1:${polls}` } as Overview;
      },
      emit: (message) => messages.push(message),
      random: () => 0.5,
    });
    source.start();
  });

  afterEach(() => {
    source.stop();
    vi.useRealTimers();
  });

  it('is live with the first event and passes events on with their ids', () => {
    expect(connection()).toEqual({ state: 'connecting' });
    last().send('snapshot', empty('7:1'), '7:1');
    last().send('update', { items: [] }, '7:2');
    last().send('event', { name: 'shop' }, '7:3');
    expect(connection()).toEqual({ state: 'live' });
    expect(messages.map(({ type }) => type)).toEqual([
      'connection',
      'connection',
      'snapshot',
      'update',
      'event',
    ]);
    expect(messages.find((message) => message.type === 'update')).toMatchObject({ id: '7:2' });
  });

  it('leaves a stumbling stream to the browser, which names the last event it saw', () => {
    last().send('snapshot');
    last().stumble();
    expect(connection()).toMatchObject({ state: 'lost', polling: false });
    vi.advanceTimersByTime(60_000);
    expect(streams).toHaveLength(1);
    last().send('open');
    expect(connection()).toEqual({ state: 'live' });
  });

  it('opens a new stream when the browser gave up, later and later', () => {
    last().fail();
    vi.advanceTimersByTime(999);
    expect(streams).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(streams).toHaveLength(2);
    last().fail();
    vi.advanceTimersByTime(1999);
    expect(streams).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(streams).toHaveLength(3);
  });

  it('remembers since when it is lost, over all its tries', () => {
    const start = Date.now();
    last().fail();
    vi.advanceTimersByTime(1000);
    last().fail();
    expect(connection()).toMatchObject({ state: 'lost', since: start });
  });

  it('polls after three failures until a stream holds again', async () => {
    last().fail();
    vi.advanceTimersByTime(1000);
    last().fail();
    vi.advanceTimersByTime(2000);
    expect(polls).toBe(0);
    last().fail();
    expect(connection()).toMatchObject({ state: 'lost', polling: true });
    await vi.advanceTimersByTimeAsync(0);
    expect(polls).toBe(1);
    expect(messages.at(-1)).toMatchObject({ type: 'snapshot', overview: { id: '1:1' } });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(polls).toBe(2);

    last().send('snapshot');
    expect(connection()).toEqual({ state: 'live' });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(polls).toBe(2);
  });

  it('does not trust a stream that opens and then says nothing, as behind a proxy that collects', () => {
    last().send('open');
    expect(connection()).toEqual({ state: 'connecting' });
    vi.advanceTimersByTime(10_000);
    expect(connection()).toMatchObject({ state: 'lost' });
    expect(streams[0]?.closed).toBe(true);
  });

  it('opens a new stream after a long silence', () => {
    last().send('snapshot');
    vi.advanceTimersByTime(89_000);
    expect(streams).toHaveLength(1);
    vi.advanceTimersByTime(2000);
    expect(streams).toHaveLength(2);
    expect(streams[0]?.closed).toBe(true);
  });

  it('says and does nothing once it is stopped', () => {
    const stream = last();
    source.stop();
    const before = messages.length;
    stream.send('snapshot');
    stream.fail();
    vi.advanceTimersByTime(120_000);
    expect(messages).toHaveLength(before);
    expect(streams).toHaveLength(1);
  });
});
