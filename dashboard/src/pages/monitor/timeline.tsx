import { useSignal } from '@preact/signals';
import type { Transition } from '../../api/types.ts';
import { statusWord } from '../../status/status.ts';
import { now } from '../../time/clock.ts';
import { lasting } from '../../time/format.ts';
import { At } from '../../time/time.tsx';
import { StatusIcon, toneOf } from '../../ui/status-icon.tsx';

const FIRST_SHOWN = 8;

/** What happened, newest first, and how long each state lasted. */
export function Timeline({ transitions, more }: { transitions: readonly Transition[]; more: boolean }) {
  const all = useSignal(false);
  const shown = all.value ? transitions : transitions.slice(0, FIRST_SHOWN);
  return (
    <section class="card section" aria-labelledby="timeline">
      <h2 id="timeline">Timeline</h2>
      {transitions.length === 0 ? (
        <p class="dim">Its status has not changed yet.</p>
      ) : (
        <ol class="timeline">
          {shown.map((transition, index) => {
            const start = Date.parse(transition.time);
            const newer = transitions[index - 1];
            const seconds = ((newer ? Date.parse(newer.time) : now.value) - start) / 1000;
            return (
              <li key={transition.sequence}>
                <StatusIcon status={transition.to} />
                <p>
                  <strong class={toneOf(transition.to)}>{statusWord(transition.to, transition.down)}</strong>{' '}
                  <span class="dim">
                    for {lasting(seconds)}
                    {!newer && ' so far'}
                  </span>
                </p>
                {transition.reason && (
                  <p class="timeline-reason clamp" title={transition.reason.message}>
                    {transition.reason.message}
                  </p>
                )}
                <p class="dim">
                  <At time={transition.time} />
                </p>
              </li>
            );
          })}
        </ol>
      )}
      {transitions.length > FIRST_SHOWN && (
        <button
          type="button"
          class="button button-small"
          aria-expanded={all.value}
          onClick={() => {
            all.value = !all.value;
          }}
        >
          {all.value ? 'Show fewer' : `Show all ${transitions.length}${more ? ' newest' : ''}`}
        </button>
      )}
    </section>
  );
}
