import { useSignal } from '@preact/signals';
import type { Json } from '../../api/types.ts';
import type { Draft } from '../../form/field.ts';
import { useField } from '../../form/state.ts';
import { views } from '../../live/store.ts';
import { Icon } from '../../ui/icons.tsx';

interface Props {
  /** The monitor being edited, which cannot depend on itself. */
  self: string | null;
  value: Draft;
  onChange: (value: Json[]) => void;
}

/** What this one needs. A dependency in trouble is named beside its status and never changes it. */
export function Dependencies({ self, value, onChange }: Props) {
  const state = useField('depends_on');
  const typed = useSignal('');
  const chosen = (Array.isArray(value) ? value : []).map(String);
  const others = [...views.value.values()].filter(
    ({ item }) => item.id !== self && !chosen.includes(item.id),
  );
  const nameOf = (reference: string) => views.value.get(reference)?.item.name ?? reference;
  const match = others.find(({ item }) => item.name === typed.value.trim());
  const add = () => {
    if (!match) return;
    onChange([...chosen, match.item.id]);
    typed.value = '';
  };
  return (
    <div class="field field-wide">
      <label for={state.id}>Depends on</label>
      {chosen.length > 0 && (
        <ul class="chosen">
          {chosen.map((reference) => (
            <li key={reference} class="tag">
              {nameOf(reference)}
              <button
                type="button"
                aria-label={`Remove ${nameOf(reference)}`}
                onClick={() => onChange(chosen.filter((other) => other !== reference))}
              >
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
      <div class="chooser">
        <input
          id={state.id}
          type="text"
          list="monitor-names"
          autocomplete="off"
          placeholder="Name of a monitor"
          aria-describedby={`${state.id}-help`}
          value={typed.value}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
          }}
          onKeyDown={(event) => {
            if (event.key !== 'Enter') return;
            event.preventDefault();
            add();
          }}
        />
        <datalist id="monitor-names">
          {others.slice(0, 500).map(({ item }) => (
            <option key={item.id} value={item.name} />
          ))}
        </datalist>
        <button type="button" class="button" disabled={!match} onClick={add}>
          Add
        </button>
      </div>
      <p id={`${state.id}-help`} class="field-help">
        When one of them is down, this one says so beside its own status.
      </p>
      {state.error && <p class="field-error">{state.error}</p>}
    </div>
  );
}
