import { useEffect } from 'preact/hooks';
import { stored } from '../prefs/stored.ts';

export const shortcuts = stored<'on' | 'off'>('shortcuts', 'on', (text) => text === 'on' || text === 'off');

const handlers = new Map<string, () => void>();
const SEQUENCE_MS = 1500;

/** Binds keys such as `/` or `g l` while the component is on the page. */
export function useShortcuts(bindings: Record<string, () => void>): void {
  useEffect(() => {
    for (const [keys, run] of Object.entries(bindings)) handlers.set(keys, run);
    return () => {
      for (const [keys, run] of Object.entries(bindings)) {
        if (handlers.get(keys) === run) handlers.delete(keys);
      }
    };
  });
}

export function startShortcuts(): () => void {
  let prefix: { key: string; at: number } | null = null;
  const onKeyDown = (event: KeyboardEvent) => {
    if (shortcuts.value === 'off' || event.defaultPrevented || isTyping(event)) return;
    if (event.metaKey || event.ctrlKey || event.altKey || document.querySelector('dialog[open]')) return;
    const fresh = prefix && Date.now() - prefix.at < SEQUENCE_MS ? `${prefix.key} ${event.key}` : null;
    const run = (fresh && handlers.get(fresh)) || handlers.get(event.key);
    prefix = startsSequence(event.key) ? { key: event.key, at: Date.now() } : null;
    if (!run) return;
    prefix = null;
    event.preventDefault();
    run();
  };
  document.addEventListener('keydown', onKeyDown);
  return () => document.removeEventListener('keydown', onKeyDown);
}

function startsSequence(key: string): boolean {
  return [...handlers.keys()].some((keys) => keys.startsWith(`${key} `));
}

/** Single letters belong to anyone who is writing. */
function isTyping({ target }: KeyboardEvent): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return target.type !== 'checkbox' && target.type !== 'radio';
  return (
    target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement
  );
}
