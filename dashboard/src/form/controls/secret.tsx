import { type Draft, MASK, type SecretField } from '../field.ts';
import { useField } from '../state.ts';
import { isObject } from '../values.ts';
import { controlProps, FieldShell } from './shell.tsx';
import type { ControlProps } from './simple.tsx';

type Source = 'text' | 'env' | 'file';

const SOURCES: readonly [Source, string][] = [
  ['text', 'Text'],
  ['env', 'Environment variable'],
  ['file', 'File'],
];

const PLACEHOLDERS: Record<Source, string> = { text: '', env: 'SHOP_TOKEN', file: '/run/secrets/shop-token' };

interface Props extends ControlProps<SecretField> {
  /** Text that is no secret after all, such as the value of a harmless header. */
  readable?: boolean;
}

/** A secret is given here or by the place it is kept in. One that is stored stays so until something is typed. */
export function SecretControl({ field, path, value, required, onChange, readable = false }: Props) {
  const state = useField(path);
  const source = sourceOf(value);
  const stored = value === MASK;
  const text = isObject(value) ? value[source] : stored ? '' : value;
  const common = {
    ...controlProps(field, state, required),
    value: typeof text === 'string' ? text : '',
    placeholder: stored ? 'Stored, unchanged' : PLACEHOLDERS[source],
    autocomplete: source === 'text' && !readable ? 'new-password' : 'off',
    spellcheck: false,
  };
  const set = (typed: string) => {
    if (source !== 'text') onChange({ [source]: typed });
    else onChange(typed);
  };
  return (
    <FieldShell field={field} state={state} required={required} wide>
      <div class="secret">
        <select
          aria-label={`Where ${field.title} comes from`}
          value={source}
          onChange={(event) => onChange(emptyOf(event.currentTarget.value))}
        >
          {SOURCES.map(([key, label]) => (
            <option key={key} value={key}>
              {label}
            </option>
          ))}
        </select>
        {field.multiline && source === 'text' ? (
          <textarea {...common} rows={4} onInput={(event) => set(event.currentTarget.value)} />
        ) : source !== 'text' || readable ? (
          <input {...common} type="text" onInput={(event) => set(event.currentTarget.value)} />
        ) : (
          <input {...common} type="password" onInput={(event) => set(event.currentTarget.value)} />
        )}
        {stored && !required && (
          <button type="button" class="button button-small" onClick={() => onChange(null)}>
            Remove
          </button>
        )}
      </div>
    </FieldShell>
  );
}

function sourceOf(value: Draft): Source {
  if (!isObject(value)) return 'text';
  return 'env' in value ? 'env' : 'file';
}

function emptyOf(source: string): Draft {
  return source === 'text' ? undefined : { [source]: '' };
}
