import { useSignal } from '@preact/signals';
import { setQuery } from '../../router/router.ts';
import { serverNow } from '../../time/clock.ts';
import { absolute } from '../../time/format.ts';
import { fromWallText, offsetLabel, offsetMinutes, toWallText, zone, zoneLabel } from '../../time/zone.ts';
import { Icon } from '../../ui/icons.tsx';
import { absoluteQuery, RANGES, type Range, relativeQuery, shifted } from './range.ts';

/** One range for every chart of the page, kept in the address. */
export function RangePicker({ range }: { range: Range }) {
  const custom = useSignal(false);
  const shift = (direction: 1 | -1) => {
    const [from, to] = shifted(range, direction, serverNow());
    setQuery(absoluteQuery(from, to), { replace: false });
  };
  return (
    <div class="range">
      <fieldset class="range-keys" aria-label="Time range">
        {RANGES.map(([key, , label]) => (
          <button
            key={key}
            type="button"
            class="range-key"
            aria-pressed={range.key === key}
            onClick={() => {
              custom.value = false;
              setQuery(relativeQuery(key), { replace: false });
            }}
          >
            {label}
          </button>
        ))}
        <button
          type="button"
          class="range-key"
          aria-pressed={range.key === null}
          aria-expanded={custom.value}
          onClick={() => {
            custom.value = !custom.value;
          }}
        >
          Custom
        </button>
      </fieldset>
      <div class="range-shift">
        <button
          type="button"
          class="button button-small button-icon"
          aria-label="Earlier"
          onClick={() => shift(-1)}
        >
          <Icon name="left" />
        </button>
        <button
          type="button"
          class="button button-small button-icon"
          aria-label="Later"
          disabled={range.key !== null}
          onClick={() => shift(1)}
        >
          <Icon name="right" />
        </button>
      </div>
      <label class="switch range-live">
        <input
          type="checkbox"
          checked={range.live}
          disabled={range.key === null}
          onChange={(event) => setQuery({ live: event.currentTarget.checked ? null : '0' })}
        />
        Live
      </label>
      <p class="range-text dim">
        {range.key === null && (
          <>
            {absolute(new Date(range.from), zone.value)} to {absolute(new Date(range.to), zone.value)}.{' '}
          </>
        )}
        Times in {zoneText(range.to)}
      </p>
      {custom.value && <CustomRange range={range} />}
    </div>
  );
}

function zoneText(at: number): string {
  const moment = new Date(at);
  const label = zoneLabel(zone.value, moment);
  const offset = offsetLabel(offsetMinutes(zone.value, moment));
  return label === offset ? label : `${label} (${offset})`;
}

function CustomRange({ range }: { range: Range }) {
  const from = useSignal(toWallText(zone.value, new Date(range.from)));
  const to = useSignal(toWallText(zone.value, new Date(range.to)));
  const wrong = useSignal(false);
  const apply = () => {
    const start = fromWallText(zone.value, from.value);
    const end = fromWallText(zone.value, to.value);
    wrong.value = !(start && end && start < end);
    if (start && end && start < end)
      setQuery(absoluteQuery(start.getTime(), end.getTime()), { replace: false });
  };
  return (
    <form
      class="range-custom"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        apply();
      }}
    >
      <label>
        From
        <input
          type="datetime-local"
          value={from.value}
          aria-describedby="range-wrong"
          onInput={(event) => {
            from.value = event.currentTarget.value;
          }}
        />
      </label>
      <label>
        To
        <input
          type="datetime-local"
          value={to.value}
          aria-describedby="range-wrong"
          onInput={(event) => {
            to.value = event.currentTarget.value;
          }}
        />
      </label>
      <button type="submit" class="button">
        Show
      </button>
      <p id="range-wrong" class="field-error" role="alert">
        {wrong.value && 'The start has to be before the end.'}
      </p>
    </form>
  );
}
