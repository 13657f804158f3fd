import { connection, hasSnapshot } from '../live/store.ts';
import { now } from '../time/clock.ts';
import { stopwatch } from '../time/format.ts';

/** A word in the header that says whether what one sees is live. */
export function ConnectionPill() {
  const { value } = connection;
  if (value.state === 'live') return <span class="pill pill-live">Live</span>;
  if (value.state === 'connecting') return <span class="pill">Connecting</span>;
  return <span class="pill pill-lost">{value.polling ? 'Every 10 s' : 'Offline'}</span>;
}

/** Says for how long the page has been without news; the list goes unknown by itself as checks fail to arrive. */
export function ConnectionBanner() {
  const { value } = connection;
  if (value.state !== 'lost') return null;
  // Reading the clock makes the banner count on.
  const seconds = now.value && (Date.now() - value.since) / 1000;
  return (
    <div class="banner" role="status">
      <span>
        Live updates lost <span aria-hidden="true">{stopwatch(seconds)}</span> ago, retrying.
      </span>
      <span>
        {value.polling && hasSnapshot.value
          ? 'The list is refreshed every 10 seconds meanwhile.'
          : 'Monitors without news turn unknown.'}
      </span>
    </div>
  );
}
