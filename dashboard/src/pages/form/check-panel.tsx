import type { CheckResult, Plugin } from '../../api/types.ts';
import { ProblemBox } from '../../ui/problem.tsx';
import { StatusLabel } from '../../ui/status-icon.tsx';
import { millisecondsText, valueText } from '../../units/format.ts';
import { sentence } from '../../units/words.ts';
import { Evidence } from '../monitor/evidence.tsx';

interface Props {
  plugin: Plugin;
  result: CheckResult | null;
  error: unknown;
  checking: boolean;
  onCheck: () => void;
}

/** What a check of this definition finds, before anything is saved. */
export function CheckPanel({ plugin, result, error, checking, onCheck }: Props) {
  return (
    <section class="card section check" aria-labelledby="check">
      <div class="section-head">
        <h2 id="check">Try it</h2>
        <button type="button" class="button" aria-disabled={checking} onClick={() => !checking && onCheck()}>
          {checking && <span class="spinner" aria-hidden="true" />}
          Check now
        </button>
      </div>
      <div aria-live="polite">
        {checking && <p class="sr-only">Checking</p>}
        {error !== null && <ProblemBox error={error} />}
        {result ? (
          <Outcome plugin={plugin} result={result} />
        ) : (
          error === null && <p class="dim">One check with these settings, without saving them.</p>
        )}
      </div>
      {result?.evidence && <Evidence evidence={result.evidence} />}
      {result?.readings && <Readings plugin={plugin} readings={result.readings} />}
    </section>
  );
}

function Outcome({ plugin, result }: { plugin: Plugin; result: CheckResult }) {
  const { status, error_class, message, duration_ms } = result;
  const known = plugin.error_classes.find(({ name }) => name === error_class);
  return (
    <div class="check-outcome">
      <p class="check-status">
        <StatusLabel status={status} />
        <span class="dim">after {millisecondsText(duration_ms)}</span>
      </p>
      {error_class === null ? (
        message && <p>{message}</p>
      ) : (
        <p>
          <code class="class-name">{error_class}</code>
          {message}
        </p>
      )}
      {known?.hint && <p class="failure-hint">{sentence(known.hint)}</p>}
    </div>
  );
}

function Readings({ plugin, readings }: { plugin: Plugin; readings: Record<string, number | null> }) {
  const rows = Object.entries(readings);
  if (rows.length === 0) return null;
  return (
    <section class="evidence-section readings">
      <h3>Readings</h3>
      <dl>
        {rows.map(([name, value]) => {
          const metric = plugin.metrics.find((candidate) => candidate.name === name);
          return (
            <div key={name}>
              <dt>{metric?.title ?? name}</dt>
              <dd>{valueText(value, metric?.unit ?? '')}</dd>
            </div>
          );
        })}
      </dl>
    </section>
  );
}
