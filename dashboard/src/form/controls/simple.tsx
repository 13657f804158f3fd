import type { BooleanField, ChoiceField, Draft, JsonField, NumberField, Path, TextField } from '../field.ts';
import { useField } from '../state.ts';
import { shownValue } from '../values.ts';
import { controlProps, FieldNotes, FieldShell } from './shell.tsx';

export interface ControlProps<F> {
  field: F;
  path: Path;
  value: Draft;
  required: boolean;
  onChange: (value: Draft) => void;
}

export function TextControl({ field, path, value, required, onChange }: ControlProps<TextField>) {
  const state = useField(path);
  const shown = shownValue(field, value);
  const common = {
    ...controlProps(field, state, required),
    value: typeof shown === 'string' ? shown : '',
    placeholder: field.example ?? '',
    autocomplete: 'off',
    spellcheck: false,
  };
  return (
    <FieldShell
      field={field}
      state={state}
      required={required}
      wide={field.multiline || field.format === 'uri'}
    >
      {field.multiline ? (
        <textarea {...common} rows={5} onInput={(event) => onChange(event.currentTarget.value)} />
      ) : (
        <input
          {...common}
          type="text"
          inputMode={field.format === 'uri' ? 'url' : undefined}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )}
    </FieldShell>
  );
}

export function NumberControl({ field, path, value, required, onChange }: ControlProps<NumberField>) {
  const state = useField(path);
  const shown = shownValue(field, value);
  return (
    <FieldShell field={field} state={state} required={required}>
      <input
        {...controlProps(field, state, required)}
        type="text"
        inputMode={field.integer ? 'numeric' : 'decimal'}
        autocomplete="off"
        value={shown === null || shown === undefined ? '' : String(shown)}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </FieldShell>
  );
}

export function BooleanControl({ field, path, value, onChange }: ControlProps<BooleanField>) {
  const state = useField(path);
  return (
    <div class="field field-boolean">
      <label class="switch">
        <input
          {...controlProps(field, state, false)}
          type="checkbox"
          checked={shownValue(field, value) === true}
          onChange={(event) => onChange(event.currentTarget.checked)}
        />
        {field.title}
      </label>
      <FieldNotes field={field} state={state} />
    </div>
  );
}

export function ChoiceControl({ field, path, value, required, onChange }: ControlProps<ChoiceField>) {
  const state = useField(path);
  const shown = shownValue(field, value);
  const nothing = field.nullable ? null : undefined;
  const nothingText = field.nullable ? 'Not set' : required ? 'Choose' : 'Default';
  const chosen = field.choices.findIndex((choice) => choice.value === shown);
  const description = field.choices[chosen]?.description ?? null;
  const described = {
    ...field,
    description: [field.description, description].filter(Boolean).join(' ') || null,
  };
  return (
    <FieldShell field={described} state={state} required={required}>
      <select
        {...controlProps(described, state, required)}
        value={String(chosen)}
        onChange={(event) => onChange(field.choices[Number(event.currentTarget.value)]?.value ?? nothing)}
      >
        {(field.nullable || field.default === undefined) && <option value="-1">{nothingText}</option>}
        {field.choices.map((choice, index) => (
          <option key={String(choice.value)} value={String(index)}>
            {choice.title}
          </option>
        ))}
      </select>
    </FieldShell>
  );
}

/** Plain text is a string; anyone who needs a number, a list or an object writes it as JSON. */
export function JsonControl({ field, path, value, required, onChange }: ControlProps<JsonField>) {
  const state = useField(path);
  const shown = shownValue(field, value);
  const written =
    shown === undefined || shown === null
      ? ''
      : typeof shown === 'string'
        ? quoted(shown)
        : JSON.stringify(shown);
  return (
    <FieldShell field={field} state={state} required={required}>
      <input
        {...controlProps(field, state, required)}
        type="text"
        autocomplete="off"
        spellcheck={false}
        defaultValue={written}
        onChange={(event) => onChange(readLoosely(event.currentTarget.value))}
      />
    </FieldShell>
  );
}

/** A string that would be read as something else keeps its quotes. */
function quoted(text: string): string {
  return readLoosely(text) === text ? text : JSON.stringify(text);
}

export function readLoosely(text: string): Draft {
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
