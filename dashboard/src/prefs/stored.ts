import { type Signal, signal } from '@preact/signals';

/** A preference of this user on this device. A browser that refuses storage still lets the value change. */
export function stored<T extends string>(
  key: string,
  fallback: T,
  accept: (text: string) => text is T,
): Signal<T> {
  const name = `wise.${key}`;
  const preference = signal<T>(read(name, accept) ?? fallback);
  preference.subscribe((value) => {
    try {
      if (value === fallback) localStorage.removeItem(name);
      else localStorage.setItem(name, value);
    } catch {
      // Storage is full or forbidden; the preference lasts as long as the page.
    }
  });
  globalThis.addEventListener?.('storage', (event) => {
    if (event.key === name) preference.value = read(name, accept) ?? fallback;
  });
  return preference;
}

function read<T extends string>(name: string, accept: (text: string) => text is T): T | null {
  try {
    const text = localStorage.getItem(name);
    return text !== null && accept(text) ? text : null;
  } catch {
    return null;
  }
}
