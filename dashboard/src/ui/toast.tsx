import { signal } from '@preact/signals';
import { Icon } from './icons.tsx';

interface Toast {
  id: number;
  text: string;
  tone: 'neutral' | 'bad';
  action?: { label: string; run: () => void };
}

const LASTS_MS = 8000;

const toasts = signal<readonly Toast[]>([]);
let nextId = 1;

/** Says what was done, with a way to take it back. It stays while the pointer or the focus is on it. */
export function toast(text: string, options: { tone?: Toast['tone']; action?: Toast['action'] } = {}): void {
  const { tone = 'neutral', action } = options;
  const id = nextId++;
  toasts.value = [...toasts.value.slice(-2), { id, text, tone, ...(action ? { action } : {}) }];
  const expire = () => {
    if (document.querySelector('.toasts:hover, .toasts:focus-within')) setTimeout(expire, 1000);
    else dismiss(id);
  };
  setTimeout(expire, LASTS_MS);
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((shown) => shown.id !== id);
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, text, tone, action }) => (
        <div key={id} class={`toast toast-${tone}`}>
          <span>{text}</span>
          {action && (
            <button
              type="button"
              class="toast-action"
              onClick={() => {
                dismiss(id);
                action.run();
              }}
            >
              {action.label}
            </button>
          )}
          <button type="button" class="toast-close" aria-label="Dismiss" onClick={() => dismiss(id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
