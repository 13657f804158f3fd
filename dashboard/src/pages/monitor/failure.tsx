import { api } from '../../api/client.ts';
import type { CheckResult, JsonObject, Monitor, Plugin } from '../../api/types.ts';
import { serverNow } from '../../time/clock.ts';
import { Ago, At } from '../../time/time.tsx';
import { useRequest } from '../../ui/request.ts';
import { millisecondsText } from '../../units/format.ts';
import { sentence } from '../../units/words.ts';
import { Evidence } from './evidence.tsx';

const REACH_MS = 90 * 86_400_000;
const LOOKED_AT = 50;

interface Props {
  monitor: Monitor;
  plugin: Plugin | undefined;
  fresh: string | null;
}

/** Why the last failed check failed, with all that was written down about it. */
export function Failure({ monitor, plugin, fresh }: Props) {
  const failed = useRequest(
    (signal) => {
      const from = new Date(serverNow() - REACH_MS).toISOString();
      return api.results(monitor.id, { from, failed: true, limit: LOOKED_AT }, signal);
    },
    [monitor.id, fresh],
  );
  const results = failed.data.value?.items ?? [];
  const last = results[0];
  if (!last) return null;
  const { evidence, time } = evidenceOf(last, results, monitor);
  const known = plugin?.error_classes.find(({ name }) => name === last.error_class);
  return (
    <section class="card section failure" aria-labelledby="failure">
      <div class="section-head">
        <h2 id="failure">Last failure</h2>
        <p class="dim">
          <Ago time={last.time} />, <At time={last.time} />
        </p>
      </div>
      <p class="failure-message">
        {last.error_class && <code class="class-name">{last.error_class}</code>}
        {known && !startsWith(last.message, known.title) && <strong>{known.title}. </strong>}
        {last.message} <span class="dim">after {millisecondsText(last.duration_ms)}</span>
      </p>
      {known?.hint && <p class="failure-hint">{sentence(known.hint)}</p>}
      {known?.fault === 'own' && (
        <p class="dim">
          The trouble is on this side, so it does not count against the uptime of {monitor.name}.
        </p>
      )}
      {evidence ? (
        <>
          {time !== last.time && (
            <p class="dim">
              The same as in the check at <At time={time} />, whose evidence is below.
            </p>
          )}
          <Evidence evidence={evidence} />
        </>
      ) : (
        <p class="dim">No evidence was kept of it.</p>
      )}
    </section>
  );
}

function startsWith(message: string | null, title: string): boolean {
  return message?.toLowerCase().startsWith(title.toLowerCase()) ?? false;
}

/** Evidence is kept when something changes; a repeated failure of the same class has that of the first one. */
function evidenceOf(
  last: CheckResult,
  results: readonly CheckResult[],
  monitor: Monitor,
): { evidence: JsonObject | null; time: string } {
  const written = results.find(
    ({ evidence, error_class }) => evidence !== null && error_class === last.error_class,
  );
  if (written) return { evidence: written.evidence, time: written.time };
  const noted = monitor.conditions.find(
    ({ evidence, reason }) => evidence !== undefined && reason.class === last.error_class,
  );
  return { evidence: noted?.evidence ?? null, time: noted?.since ?? last.time };
}
