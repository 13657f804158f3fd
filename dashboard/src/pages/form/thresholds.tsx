import type { JsonObject, MetricInfo } from '../../api/types.ts';
import { type Draft, join } from '../../form/field.ts';
import { useField } from '../../form/state.ts';
import { readBound } from '../../form/thresholds.ts';
import { isObject } from '../../form/values.ts';

interface Props {
  metrics: readonly MetricInfo[];
  value: Draft;
  onChange: (value: Draft) => void;
}

type Bound = 'warning' | 'critical';

/** When a reading makes the monitor degraded or unhealthy, for each metric of its kind. */
export function Thresholds({ metrics, value, onChange }: Props) {
  const held = isObject(value) ? value : {};
  const set = (metric: string, bounds: JsonObject | null) => {
    const next = { ...held };
    if (bounds === null) delete next[metric];
    else next[metric] = bounds;
    onChange(next);
  };
  return (
    <div class="thresholds">
      <p class="field-help">An empty bound is switched off. Reset goes back to what the kind brings along.</p>
      {metrics.map((metric) => (
        <Row
          key={metric.name}
          metric={metric}
          override={held[metric.name]}
          onChange={(bounds) => set(metric.name, bounds)}
        />
      ))}
    </div>
  );
}

interface RowProps {
  metric: MetricInfo;
  override: Draft;
  onChange: (bounds: JsonObject | null) => void;
}

function Row({ metric, override, onChange }: RowProps) {
  const overridden = isObject(override);
  const bounds: JsonObject = overridden ? override : { warning: metric.warning, critical: metric.critical };
  const set = (bound: Bound, text: string) => onChange({ ...bounds, [bound]: readBound(text) });
  const unit = metric.unit === 'state' || metric.unit === 'total' ? '' : ` (${metric.unit})`;
  return (
    <fieldset class="threshold">
      <legend title={metric.help}>
        {metric.title}
        <span class="dim">{unit}</span>
      </legend>
      <BoundInput metric={metric} bound="warning" bounds={bounds} onInput={set} />
      <BoundInput metric={metric} bound="critical" bounds={bounds} onInput={set} />
      <button
        type="button"
        class="button button-small button-quiet"
        disabled={!overridden}
        onClick={() => onChange(null)}
      >
        Reset<span class="sr-only"> {metric.title}</span>
      </button>
    </fieldset>
  );
}

interface BoundProps {
  metric: MetricInfo;
  bound: Bound;
  bounds: JsonObject;
  onInput: (bound: Bound, text: string) => void;
}

function BoundInput({ metric, bound, bounds, onInput }: BoundProps) {
  const state = useField(join(join('thresholds', metric.name), bound));
  const value = bounds[bound];
  const word = metric.direction === 'below' ? 'below' : 'above';
  return (
    <label class="threshold-bound">
      <span>
        {bound === 'warning' ? 'Degraded' : 'Unhealthy'} {word}
      </span>
      <input
        id={state.id}
        type="text"
        inputMode="decimal"
        autocomplete="off"
        value={value === null || value === undefined ? '' : String(value)}
        aria-invalid={state.error !== null}
        aria-describedby={state.error ? `${state.id}-error` : undefined}
        onInput={(event) => onInput(bound, event.currentTarget.value)}
        onBlur={state.touch}
      />
      {state.error && (
        <span id={`${state.id}-error`} class="field-error">
          {state.error}
        </span>
      )}
    </label>
  );
}
