import { useSignal } from '@preact/signals';
import type { MonitorEvent, Plugin } from '../../api/types.ts';
import { now } from '../../time/clock.ts';
import { lasting } from '../../time/format.ts';
import { At } from '../../time/time.tsx';
import { StatusIcon, toneOf } from '../../ui/status-icon.tsx';
import { entriesOf } from './timeline-model.ts';

const FIRST_SHOWN = 8;

interface Props {
  events: readonly MonitorEvent[];
  plugin: Plugin | undefined;
  more: boolean;
}

/** What happened, newest first, and how long each state lasted. */
export function Timeline({ events, plugin, more }: Props) {
  const all = useSignal(false);
  const entries = entriesOf(events, plugin, now.value);
  const shown = all.value ? entries : entries.slice(0, FIRST_SHOWN);
  return (
    <section class="card section" aria-labelledby="timeline">
      <h2 id="timeline">Timeline</h2>
      {entries.length === 0 ? (
        <p class="dim">Its status has not changed yet.</p>
      ) : (
        <ol class="timeline">
          {shown.map((entry) => (
            <li key={entry.sequence}>
              <StatusIcon status={entry.icon} />
              <p>
                <strong class={toneOf(entry.icon)}>{entry.title}</strong>{' '}
                {entry.lasted !== null && (
                  <span class="dim">
                    for {lasting(entry.lasted / 1000)}
                    {entry.isOpen && ' so far'}
                  </span>
                )}
              </p>
              {entry.reason && (
                <p class="timeline-reason clamp" title={entry.reason}>
                  {entry.reason}
                </p>
              )}
              <p class="dim">
                <At time={entry.time} />
              </p>
            </li>
          ))}
        </ol>
      )}
      {entries.length > FIRST_SHOWN && (
        <button
          type="button"
          class="button button-small"
          aria-expanded={all.value}
          onClick={() => {
            all.value = !all.value;
          }}
        >
          {all.value ? 'Show fewer' : `Show all ${entries.length}${more ? ' newest' : ''}`}
        </button>
      )}
    </section>
  );
}
