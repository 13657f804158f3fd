import { signal } from '@preact/signals';
import { api } from './client.ts';
import type { Plugin } from './types.ts';

/** The kinds of monitor this server knows. They are compiled in, so one answer lasts as long as the page. */
export const plugins = signal<readonly Plugin[] | null>(null);
export const pluginsError = signal<unknown>(null);

let loading: Promise<void> | null = null;

export function loadPlugins(): Promise<void> {
  loading ??= api
    .plugins()
    .then(({ items }) => {
      plugins.value = items.toSorted((left, right) => left.title.localeCompare(right.title));
      pluginsError.value = null;
    })
    .catch((cause: unknown) => {
      pluginsError.value = cause;
      loading = null;
    });
  return loading;
}

export function pluginOf(kind: string): Plugin | undefined {
  return plugins.value?.find((plugin) => plugin.kind === kind);
}

export function kindTitle(kind: string): string {
  return pluginOf(kind)?.title ?? kind;
}
