import { useSignal } from '@preact/signals';
import type { JsonObject } from '../../api/types.ts';
import { Icon } from '../../ui/icons.tsx';
import { type Draft, join, type MapField } from '../field.ts';
import { useField } from '../state.ts';
import { blank, isObject, shownValue } from '../values.ts';
import { Control } from './control.tsx';
import { SecretControl } from './secret.tsx';
import { GroupShell } from './shell.tsx';
import type { ControlProps } from './simple.tsx';

type Entry = [key: string, value: Draft];

/** Headers that let someone in, whose values are as good as passwords. */
const SECRET_HEADER =
  /^(?:authorization|proxy-authorization|cookie|set-cookie)$|token|secret|password|api-?key/i;

/** Names with values. The rows live here, because a name that is half typed may be empty or there twice. */
export function MapControl({ field, path, value, required, onChange }: ControlProps<MapField>) {
  const state = useField(path);
  const shown = shownValue(field, value);
  const rows = useSignal<readonly Entry[]>(isObject(shown) ? Object.entries(shown) : []);
  const set = (next: readonly Entry[]) => {
    rows.value = next;
    onChange(toObject(next));
  };
  return (
    <GroupShell field={field} state={state} required={required}>
      {rows.value.length > 0 && (
        <ul class="list list-map">
          {rows.value.map(([key, held], index) => {
            const twice = key !== '' && rows.value.findIndex(([other]) => other === key) < index;
            const label = field.headers ? 'Header' : 'Name';
            const inner = {
              ...field.value,
              title: key === '' ? 'Value' : `Value of ${key}`,
              description: null,
            };
            const change = (changed: Draft) => set(rows.value.with(index, [key, changed]));
            const common = { path: join(path, key), value: held, required: false, onChange: change };
            return (
              // A row keeps its place while its name is typed.
              <li key={`${rows.value.length}/${index}`}>
                <div class="field">
                  <label for={`${state.id}-key-${index}`}>{label}</label>
                  <input
                    id={`${state.id}-key-${index}`}
                    type="text"
                    autocomplete="off"
                    spellcheck={false}
                    value={key}
                    aria-invalid={twice}
                    aria-describedby={twice ? `${state.id}-twice-${index}` : undefined}
                    onInput={(event) => set(rows.value.with(index, [event.currentTarget.value, held]))}
                  />
                  {twice && (
                    <p id={`${state.id}-twice-${index}`} class="field-error">
                      This name is there already
                    </p>
                  )}
                </div>
                {inner.type === 'secret' ? (
                  <SecretControl
                    field={inner}
                    readable={field.headers && !SECRET_HEADER.test(key)}
                    {...common}
                  />
                ) : (
                  <Control field={inner} {...common} />
                )}
                <button
                  type="button"
                  class="button button-small button-icon list-remove"
                  aria-label={`Remove ${key || label}`}
                  onClick={() => set(rows.value.toSpliced(index, 1))}
                >
                  <Icon name="close" />
                </button>
              </li>
            );
          })}
        </ul>
      )}
      <button
        type="button"
        class="button button-small"
        onClick={() => {
          rows.value = [...rows.value, ['', blank(field.value)]];
        }}
      >
        <Icon name="plus" />
        Add<span class="sr-only"> to {field.title}</span>
      </button>
    </GroupShell>
  );
}

function toObject(rows: readonly Entry[]): JsonObject {
  const named: JsonObject = {};
  for (const [key, value] of rows) if (key !== '') named[key] = value ?? '';
  return named;
}
