import type { Monitor, Plugin } from '../../api/types.ts';
import { Ago } from '../../time/time.tsx';
import { StatusIcon } from '../../ui/status-icon.tsx';
import { sentence } from '../../units/words.ts';
import { conditionTitle, iconOf } from './timeline-model.ts';

/** What is wrong, one line for each thing. One thing alone is what the head of the page says already. */
export function Conditions({ monitor, plugin }: { monitor: Monitor; plugin: Plugin | undefined }) {
  const { conditions } = monitor;
  if (conditions.length < 2) return null;
  return (
    <section class="card section" aria-labelledby="conditions">
      <h2 id="conditions">What is wrong</h2>
      <ul class="timeline">
        {conditions.map((condition) => (
          <li key={condition.key}>
            <StatusIcon status={iconOf(condition)} />
            <p>
              <strong>{conditionTitle(condition, plugin)}</strong>{' '}
              <span class="dim">
                since <Ago time={condition.since} />
              </span>
            </p>
            <p class="timeline-reason clamp" title={condition.reason.message}>
              {sentence(condition.reason.message)}
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}
