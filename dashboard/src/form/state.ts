import { computed, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Path } from './field.ts';
import type { Errors } from './validate.ts';

/** Which errors a form shows: the server's, and its own once a field was left or sending was tried. */
export class FormErrors {
  readonly #own: ReadonlySignal<Errors>;
  readonly #server: Signal<Errors> = signal(new Map());
  readonly #touched: Signal<ReadonlySet<Path>> = signal(new Set());
  readonly #tried = signal(false);
  readonly shown: ReadonlySignal<Errors>;

  constructor(own: ReadonlySignal<Errors>) {
    this.#own = own;
    this.shown = computed(() => {
      const shown = new Map(this.#server.value);
      for (const [path, message] of this.#own.value) {
        if (this.#tried.value || this.#touched.value.has(path)) shown.set(path, message);
      }
      return shown;
    });
  }

  touch(path: Path): void {
    if (!this.#touched.peek().has(path)) this.#touched.value = new Set(this.#touched.peek()).add(path);
  }

  /** What the server said about a field no longer holds once the field, or something inside it, is changed. */
  changed(path: Path): void {
    const server = this.#server.peek();
    if (server.size === 0) return;
    this.#server.value = new Map([...server].filter(([wrong]) => !wrong.startsWith(path)));
  }

  /** Shows every error of the form's own; returns whether there is none. */
  tryToSend(): boolean {
    this.#tried.value = true;
    this.#server.value = new Map();
    return this.#own.value.size === 0;
  }

  refuse(messages: Errors): void {
    this.#server.value = messages;
  }
}

const Context = createContext<FormErrors | null>(null);

export const FormErrorsProvider = Context.Provider;

export interface FieldState {
  id: string;
  error: string | null;
  touch: () => void;
}

export function useField(path: Path): FieldState {
  const errors = useContext(Context);
  return {
    id: fieldId(path),
    error: errors?.shown.value.get(path) ?? null,
    touch: () => errors?.touch(path),
  };
}

export function fieldId(path: Path): string {
  return `field-${path.replaceAll(/\s/g, '_')}`;
}

/** Moves to a field, opening the sections it is folded into. */
export function focusField(path: Path): void {
  const target = document.getElementById(fieldId(path));
  if (!target) return;
  for (
    let parent = target.closest('details');
    parent;
    parent = parent.parentElement?.closest('details') ?? null
  ) {
    parent.open = true;
  }
  const control = target.matches('input, select, textarea, button')
    ? target
    : (target.querySelector<HTMLElement>('input, select, textarea, button') ?? target);
  control.scrollIntoView({ block: 'center' });
  control.focus({ preventScroll: true });
}
