import { BASE } from '../base.ts';
import type { Connection, LiveMessage } from './messages.ts';

type TabMessage = LiveMessage | { type: 'hello' };

export interface Shared {
  stop: () => void;
}

interface Parts {
  /** Opens the one real stream, in the tab that was chosen to hold it. */
  lead: (emit: (message: LiveMessage) => void) => { stop: () => void };
  /** Fetches what a tab that only listens has to start from. */
  catchUp: () => Promise<void>;
  receive: (message: LiveMessage) => void;
}

/** Two servers below different paths of one host must not hear each other. */
const NAME = `wise.live ${BASE}`;

/**
 * Shares one stream among all tabs, since a browser allows few connections to a server. The tab that holds the
 * lock leads and repeats everything it hears; when it closes, the lock passes to another. Browsers offer locks
 * on secure pages only: elsewhere each tab holds a stream of its own.
 */
export function shareAmongTabs({ lead, catchUp, receive }: Parts): Shared {
  if (!globalThis.navigator?.locks || typeof BroadcastChannel === 'undefined') return lead(receive);

  const channel = new BroadcastChannel(NAME);
  const leaving = new AbortController();
  let leader: { stop: () => void } | null = null;
  let connection: Connection = { state: 'connecting' };

  channel.addEventListener('message', ({ data }: MessageEvent<TabMessage>) => {
    if (data.type !== 'hello') receive(data);
    else if (leader) channel.postMessage({ type: 'connection', connection } satisfies TabMessage);
  });

  const holdStream = () =>
    new Promise<void>((release) => {
      leader = lead((message) => {
        if (message.type === 'connection') connection = message.connection;
        receive(message);
        channel.postMessage(message);
      });
      leaving.signal.addEventListener('abort', () => release());
    });

  void navigator.locks.request(NAME, { ifAvailable: true }, async (lock) => {
    if (leaving.signal.aborted) return;
    if (lock) return holdStream();
    channel.postMessage({ type: 'hello' } satisfies TabMessage);
    void catchUp();
    waitForTurn();
  });

  function waitForTurn(): void {
    navigator.locks
      .request(NAME, { signal: leaving.signal }, () => (leaving.signal.aborted ? undefined : holdStream()))
      .catch(() => {
        // This tab was closed or hidden while it waited for its turn.
      });
  }

  return {
    stop() {
      leaving.abort();
      leader?.stop();
      channel.close();
    },
  };
}
