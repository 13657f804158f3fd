import { computed, signal } from '@preact/signals';
import { href, pathWithin } from '../base.ts';

export interface Location {
  readonly path: string;
  readonly query: URLSearchParams;
}

export type Route =
  | { page: 'list' }
  | { page: 'monitor'; id: string }
  | { page: 'new' }
  | { page: 'edit'; id: string }
  | { page: 'not-found' };

/** Which page a path shows. `/dashboard` is another name of the list. */
export function match(path: string): Route {
  const parts = path.split('/').filter(Boolean).map(decode);
  const [first, second, third] = parts;
  if (parts.length === 0) return { page: 'list' };
  if (parts.length === 1 && (first === 'dashboard' || first === 'monitors')) return { page: 'list' };
  if (first === 'monitors' && second !== undefined) {
    if (parts.length === 2) return second === 'new' ? { page: 'new' } : { page: 'monitor', id: second };
    if (parts.length === 3 && third === 'edit') return { page: 'edit', id: second };
  }
  return { page: 'not-found' };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const paths = {
  list: '/',
  add: '/monitors/new',
  monitor: (id: string) => `/monitors/${encodeURIComponent(id)}`,
  edit: (id: string) => `/monitors/${encodeURIComponent(id)}/edit`,
};

function read(): Location {
  const { pathname, search } = window.location;
  return { path: pathWithin(pathname) ?? pathname, query: new URLSearchParams(search) };
}

export const location = signal<Location>(read());
export const route = computed(() => match(location.value.path));

/** Counts the moves to another page, for focus and scrolling; a change of the query alone is not one. */
export const visits = signal(0);

/** What has to agree before the page is left, such as a form with unsaved changes. */
let guard: (() => Promise<boolean>) | null = null;

export function guardLeaving(ask: (() => Promise<boolean>) | null): void {
  guard = ask;
}

export async function navigate(path: string, { replace = false } = {}): Promise<void> {
  if (guard && !(await guard())) return;
  guard = null;
  history[replace ? 'replaceState' : 'pushState'](null, '', href(path));
  arrive();
  window.scrollTo(0, 0);
}

/** Changes the query of the page one is on. A null or empty value takes the key out of the address. */
export function setQuery(changes: Record<string, string | null>, { replace = true } = {}): void {
  const query = new URLSearchParams(location.peek().query);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === '') query.delete(key);
    else query.set(key, value);
  }
  const search = query.toString();
  history[replace ? 'replaceState' : 'pushState'](
    null,
    '',
    href(location.peek().path) + (search ? `?${search}` : ''),
  );
  location.value = read();
}

function arrive(): void {
  const from = location.peek().path;
  location.value = read();
  if (location.value.path !== from) visits.value += 1;
}

/** Follows plain clicks on links of the dashboard and the browser's own back and forward. */
export function startRouter(): () => void {
  const onClick = (event: MouseEvent) => {
    const target = followed(event);
    if (target === null) return;
    event.preventDefault();
    void navigate(target);
  };
  document.addEventListener('click', onClick);
  window.addEventListener('popstate', arrive);
  return () => {
    document.removeEventListener('click', onClick);
    window.removeEventListener('popstate', arrive);
  };
}

/** The path a click leads to, or null when the browser should handle the click itself. */
export function followed(event: MouseEvent): string | null {
  if (event.defaultPrevented || event.button !== 0) return null;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return null;
  const anchor = event.target instanceof Element ? event.target.closest('a') : null;
  if (!anchor?.href || anchor.target || anchor.hasAttribute('download')) return null;
  const url = new URL(anchor.href);
  if (url.origin !== window.location.origin) return null;
  const inside = pathWithin(url.pathname);
  const samePage = url.pathname === window.location.pathname && url.search === window.location.search;
  if (inside === null || (samePage && url.hash !== '')) return null;
  return match(inside).page === 'not-found' ? null : inside + url.search;
}
