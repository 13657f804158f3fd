import type { ComponentChildren } from 'preact';
import type { FieldState } from '../state.ts';

interface Described {
  title: string;
  description: string | null;
}

interface Props {
  field: Described;
  state: FieldState;
  required: boolean;
  wide?: boolean;
  children: ComponentChildren;
}

/** Names a control, explains it, and says what is wrong with it. */
export function FieldShell({ field, state, required, wide = false, children }: Props) {
  return (
    <div class={wide ? 'field field-wide' : 'field'}>
      <label for={state.id}>
        {field.title}
        {required && <span class="field-required"> (needed)</span>}
      </label>
      {children}
      <FieldNotes field={field} state={state} />
    </div>
  );
}

/** For what consists of several controls. */
export function GroupShell({ field, state, required, children }: Props) {
  return (
    <fieldset
      class="field field-wide field-group"
      id={state.id}
      tabIndex={-1}
      aria-describedby={describedBy(field, state)}
    >
      <legend>
        {field.title}
        {required && <span class="field-required"> (needed)</span>}
      </legend>
      <FieldNotes field={field} state={state} />
      {children}
    </fieldset>
  );
}

export function FieldNotes({ field, state }: { field: Described; state: FieldState }) {
  return (
    <>
      {field.description && (
        <p id={`${state.id}-help`} class="field-help">
          <WithCode text={field.description} />
        </p>
      )}
      {state.error && (
        <p id={`${state.id}-error`} class="field-error">
          {state.error}
        </p>
      )}
    </>
  );
}

/** Descriptions put what is meant literally between backticks. */
export function WithCode({ text }: { text: string }) {
  return (
    <>
      {text
        .split('`')
        .map((part, index) => (index % 2 === 1 ? <code key={`${index}${part}`}>{part}</code> : part))}
    </>
  );
}

export function describedBy(field: Described, state: FieldState): string | undefined {
  const ids = [field.description && `${state.id}-help`, state.error && `${state.id}-error`].filter(Boolean);
  return ids.length > 0 ? ids.join(' ') : undefined;
}

/** The attributes that every control of a field has. */
export function controlProps(field: Described, state: FieldState, required: boolean) {
  return {
    id: state.id,
    'aria-describedby': describedBy(field, state),
    'aria-invalid': state.error !== null,
    'aria-required': required || undefined,
    onBlur: state.touch,
  };
}
