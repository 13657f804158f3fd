import { BASE_URL } from './browser.mjs';

/** Names of this run, so that it neither meets what was there before nor leaves anything behind. */
export const RUN = `e2e-${Date.now().toString(36)}`;

export async function call(method, path, body, headers = {}) {
  const init = { method, headers: { Accept: 'application/json', ...headers } };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers['Content-Type'] = 'application/json';
  }
  const response = await fetch(`${BASE_URL}/api/v1${path}`, init);
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
  return text === '' ? null : JSON.parse(text);
}

/** Adds a website that is checked every second. */
export function addWebsite(name, url, more = {}) {
  return call('POST', '/monitors', {
    name: `${RUN} ${name}`,
    kind: 'website',
    settings: { url },
    interval: '1s',
    ...more,
  });
}

export async function removeOwn() {
  const { items } = await call('GET', `/monitors?limit=1000&q=${encodeURIComponent(RUN)}`);
  // The newest first, since what depends on another was made after it.
  for (const { id, name } of items.toReversed()) {
    if (name.startsWith(RUN)) await call('DELETE', `/monitors/${id}`);
  }
}
