/**
 * Where the dashboard is mounted, always ending in a slash. Scripts are served from `<mount>/assets/`, so a
 * script knows the mount from its own address; nothing has to be configured when the server moves below a path.
 */
export const BASE: string = import.meta.env.DEV
  ? '/'
  : new URL(/* @vite-ignore */ '../', import.meta.url).pathname;

/** The address of a path of the dashboard or of the API, such as `/monitors/new` or `/api/v1/overview`. */
export function href(path: string): string {
  return BASE + path.replace(/^\/+/, '');
}

/** The path inside the dashboard of an address, or null when it lies outside. */
export function pathWithin(pathname: string): string | null {
  if (pathname === BASE.slice(0, -1)) return '/';
  return pathname.startsWith(BASE) ? `/${pathname.slice(BASE.length)}` : null;
}
