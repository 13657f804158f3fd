import { batch, computed, signal } from '@preact/signals';
import { api, apiUrl } from '../api/client.ts';
import type { MonitorEvent, Overview } from '../api/types.ts';
import { learnServerTime, now } from '../time/clock.ts';
import { instanceZone } from '../time/zone.ts';
import { currentBucketEnd } from './beats.ts';
import type { Connection, LiveMessage } from './messages.ts';
import { LiveSource } from './source.ts';
import { applySnapshot, applyUpdate, type LiveState, NOTHING } from './state.ts';
import { shareAmongTabs } from './tabs.ts';
import { type View, viewOf } from './view.ts';

const state = signal<LiveState>(NOTHING);

export const connection = signal<Connection>({ state: 'connecting' });
export const hasSnapshot = computed(() => state.value.id !== null);

/** Moves every five seconds: nothing goes stale faster than that matters. */
const slowNow = computed(() => Math.floor(now.value / 5000) * 5000);

export const views = computed<ReadonlyMap<string, View>>(() => {
  const at = slowNow.value;
  const shown = new Map<string, View>();
  for (const [id, entry] of state.value.entries) shown.set(id, viewOf(entry, at));
  return shown;
});

export const bucketSeconds = computed(() => state.value.bucketSeconds);
export const bucketEnd = computed(() =>
  currentBucketEnd(state.value.bucketEnd, state.value.bucketSeconds, slowNow.value),
);

const eventListeners = new Set<(event: MonitorEvent) => void>();

export function onEvent(listener: (event: MonitorEvent) => void): () => void {
  eventListeners.add(listener);
  return () => eventListeners.delete(listener);
}

/** Puts what a request has just answered into the list, without waiting for the stream to say the same. */
export function forget(ids: readonly string[]): void {
  const entries = new Map(state.value.entries);
  for (const id of ids) entries.delete(id);
  state.value = { ...state.value, entries };
}

function receive(message: LiveMessage): void {
  switch (message.type) {
    case 'snapshot':
      take(message.overview);
      break;
    case 'update':
      batch(() => {
        learnServerTime(message.update.time);
        state.value = applyUpdate(state.value, message.id, message.update);
      });
      if (state.value.lostTrack) void catchUp();
      break;
    case 'event':
      for (const listener of eventListeners) listener(message.event);
      break;
    case 'connection':
      connection.value = message.connection;
      break;
  }
}

function take(overview: Overview): void {
  batch(() => {
    learnServerTime(overview.time);
    instanceZone.value = overview.time_zone;
    state.value = applySnapshot(state.value, overview);
  });
}

async function catchUp(): Promise<void> {
  try {
    take(await api.overview());
  } catch {
    // The stream keeps trying and says so; there is nothing to add.
  }
}

const HIDDEN_MS = 60_000;

/** Keeps the list live until stopped; a page that no one has looked at for a minute lets go of its stream. */
export function startLive(): () => void {
  const open = () =>
    shareAmongTabs({
      receive,
      catchUp,
      lead: (emit) => {
        const source = new LiveSource({
          open: () => new EventSource(apiUrl('/events')),
          fetchOverview: () => api.overview(),
          emit,
        });
        source.start();
        return source;
      },
    });

  let stream: ReturnType<typeof open> | null = open();
  let hiding: ReturnType<typeof setTimeout> | undefined;
  const onVisibility = () => {
    clearTimeout(hiding);
    if (document.hidden) {
      hiding = setTimeout(() => {
        stream?.stop();
        stream = null;
      }, HIDDEN_MS);
    } else {
      stream ??= open();
    }
  };
  document.addEventListener('visibilitychange', onVisibility);
  return () => {
    clearTimeout(hiding);
    document.removeEventListener('visibilitychange', onVisibility);
    stream?.stop();
  };
}
