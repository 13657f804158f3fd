import type { MonitorEvent, Overview, WireOverview, WireUpdate } from '../api/types.ts';
import { type Decoder, decodeOverview } from './decode.ts';
import type { Connection, LiveMessage } from './messages.ts';

const FIRST_EVENT_MS = 10_000;
const POLL_MS = 10_000;
const FAILURES_BEFORE_POLLING = 3;
const SHORTEST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;
const SILENCE_MS = 90_000;

/** The part of EventSource that is used here. */
export interface EventStream {
  readonly readyState: number;
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

export interface SourceParts {
  open: () => EventStream;
  fetchOverview: () => Promise<Overview>;
  emit: (message: LiveMessage) => void;
  random?: () => number;
}

const CLOSED = 2;

/**
 * Keeps one event stream open. The browser reconnects a broken stream by itself and names the last event it saw;
 * when it gives up, or when nothing comes through, a new stream is opened after a growing pause. After three
 * failures in a row the overview is polled until a stream holds again.
 */
export class LiveSource {
  readonly #parts: SourceParts;
  readonly #random: () => number;
  #stream: EventStream | null = null;
  #decoder: Decoder | null = null;
  #failures = 0;
  #lostSince: number | null = null;
  #heardAt = 0;
  #retry: Timer;
  #firstEvent: Timer;
  #poll: Timer;
  #silence: Timer;
  #told: Connection['state'] | null = null;
  #stopped = false;

  constructor(parts: SourceParts) {
    this.#parts = parts;
    this.#random = parts.random ?? Math.random;
  }

  start(): void {
    this.#tell({ state: 'connecting' });
    this.#connect();
    this.#silence = setInterval(() => this.#listenForSilence(), SILENCE_MS / 3);
  }

  stop(): void {
    this.#stopped = true;
    this.#drop();
    clearTimeout(this.#retry);
    clearInterval(this.#poll);
    clearInterval(this.#silence);
  }

  #connect(): void {
    this.#drop();
    const stream = this.#parts.open();
    this.#stream = stream;
    this.#heardAt = Date.now();
    this.#firstEvent = setTimeout(() => {
      this.#drop();
      this.#fail();
    }, FIRST_EVENT_MS);

    let delivered = false;
    const on = <T>(type: string, deliver: (data: T, id: string) => void) =>
      stream.addEventListener(type, (event) => {
        if (stream !== this.#stream) return;
        delivered = true;
        this.#hear();
        deliver(JSON.parse(event.data) as T, event.lastEventId);
      });
    // A stream begins with a snapshot, or goes on after one that was read here.
    on<WireOverview>('snapshot', (wire) => {
      const { overview, decoder } = decodeOverview(wire);
      this.#decoder = decoder;
      this.#parts.emit({ type: 'snapshot', overview });
    });
    on<WireUpdate>('update', (wire, id) => {
      if (this.#decoder === null) return;
      this.#parts.emit({ type: 'update', id, update: this.#decoder.update(wire) });
    });
    on<MonitorEvent>('event', (event) => this.#parts.emit({ type: 'event', event }));
    stream.addEventListener('open', () => {
      // A resumed stream has nothing to say when nothing was missed, so being open is enough for it.
      if (stream === this.#stream && delivered) this.#hear();
    });
    stream.addEventListener('error', () => {
      if (stream === this.#stream) this.#fail();
    });
  }

  #hear(): void {
    clearTimeout(this.#firstEvent);
    clearTimeout(this.#retry);
    clearInterval(this.#poll);
    this.#poll = undefined;
    this.#heardAt = Date.now();
    this.#failures = 0;
    this.#lostSince = null;
    this.#tell({ state: 'live' });
  }

  #fail(): void {
    if (this.#stopped) return;
    clearTimeout(this.#firstEvent);
    this.#failures += 1;
    this.#lostSince ??= Date.now();
    if (this.#failures >= FAILURES_BEFORE_POLLING) this.#startPolling();
    this.#tell({ state: 'lost', since: this.#lostSince, polling: this.#poll !== undefined });
    if (this.#stream === null || this.#stream.readyState === CLOSED) {
      this.#drop();
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#connect(), this.#pause());
    }
  }

  /** Doubles with every failure and differs between browsers, so that they do not all come back at once. */
  #pause(): number {
    const base = Math.min(LONGEST_RETRY_MS, SHORTEST_RETRY_MS * 2 ** (this.#failures - 1));
    return base * (0.7 + 0.6 * this.#random());
  }

  #startPolling(): void {
    if (this.#poll !== undefined) return;
    const poll = async () => {
      try {
        const overview = await this.#parts.fetchOverview();
        if (!this.#stopped && this.#lostSince !== null) this.#parts.emit({ type: 'snapshot', overview });
      } catch {
        // The server is away altogether; the banner already says so and the next round tries again.
      }
    };
    this.#poll = setInterval(poll, POLL_MS);
    void poll();
  }

  /** A connection can die without a word, so a long silence opens a new stream. */
  #listenForSilence(): void {
    if (this.#lostSince !== null || Date.now() - this.#heardAt < SILENCE_MS) return;
    this.#connect();
  }

  #drop(): void {
    clearTimeout(this.#firstEvent);
    this.#stream?.close();
    this.#stream = null;
  }

  #tell(connection: Connection): void {
    if (connection.state === 'live' && this.#told === 'live') return;
    this.#told = connection.state;
    this.#parts.emit({ type: 'connection', connection });
  }
}

type Timer = ReturnType<typeof setTimeout> | undefined;
