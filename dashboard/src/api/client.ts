import { href } from '../base.ts';
import { decodeOverview } from '../live/decode.ts';
import { problemOf, unreachable } from './problem.ts';
import type {
  CheckResult,
  Definition,
  History,
  JsonObject,
  Monitor,
  MonitorEvent,
  Overview,
  Page,
  Plugin,
  Readings,
  Settings,
  UptimeWindow,
  WireOverview,
} from './types.ts';

type Query = Record<string, string | number | boolean | null | undefined>;

interface Options {
  query?: Query;
  body?: unknown;
  version?: number | undefined;
  signal?: AbortSignal | undefined;
}

export function apiUrl(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) params.set(key, String(value));
  }
  const search = params.toString();
  return href(`/api/v1${path}`) + (search ? `?${search}` : '');
}

async function send(method: string, path: string, options: Options): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  if (options.version !== undefined) headers['If-Match'] = `"${options.version}"`;
  const init: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store' };
  if (options.body !== undefined) init.body = JSON.stringify(options.body);
  if (options.signal) init.signal = options.signal;
  let response: Response;
  try {
    response = await fetch(apiUrl(path, options.query), init);
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw unreachable(cause);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function request<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const response = await send(method, path, options);
  try {
    return (await response.json()) as T;
  } catch (cause) {
    throw unreachable(cause);
  }
}

const at = (id: string) => `/monitors/${encodeURIComponent(id)}`;

export interface ResultQuery {
  from?: string;
  to?: string;
  failed?: true;
  limit?: number;
  cursor?: string;
}

export interface HistoryRange {
  from: string;
  to: string;
  points: number;
}

/** What the server takes in one request for histories. */
const MOST_METRICS = 32;

/** One history for each metric; the server answers a bare object when only one is asked for. */
async function histories(
  id: string,
  metrics: string[],
  range: HistoryRange,
  signal?: AbortSignal,
): Promise<History[]> {
  const answer = await request<History | Page<History>>('GET', `${at(id)}/history`, {
    query: { metric: metrics.join(','), ...range },
    signal,
  });
  return 'items' in answer ? answer.items : [answer];
}

export const api = {
  settings: (signal?: AbortSignal) => request<Settings>('GET', '/settings', { signal }),

  plugins: (signal?: AbortSignal) => request<Page<Plugin>>('GET', '/plugins', { signal }),

  overview: async (signal?: AbortSignal): Promise<Overview> =>
    decodeOverview(await request<WireOverview>('GET', '/overview', { signal })).overview,

  monitor: (id: string, signal?: AbortSignal) => request<Monitor>('GET', at(id), { signal }),

  create: (definition: Definition) => request<Monitor>('POST', '/monitors', { body: definition }),

  replace: (id: string, definition: Definition, version: number) =>
    request<Monitor>('PUT', at(id), { body: definition, version }),

  patch: (id: string, changes: JsonObject) => request<Monitor>('PATCH', at(id), { body: changes }),

  remove: async (id: string): Promise<void> => {
    await send('DELETE', at(id), {});
  },

  checkDefinition: (definition: Definition, signal?: AbortSignal) =>
    request<CheckResult>('POST', '/monitors/check', { body: definition, signal }),

  readings: (id: string, signal?: AbortSignal) => request<Readings>('GET', `${at(id)}/readings`, { signal }),

  checkNow: (id: string) => request<CheckResult>('POST', `${at(id)}/check`),

  history: async (
    id: string,
    metrics: readonly string[],
    range: HistoryRange,
    signal?: AbortSignal,
  ): Promise<History[]> => {
    const requests: Promise<History[]>[] = [];
    for (let first = 0; first < metrics.length; first += MOST_METRICS) {
      requests.push(histories(id, metrics.slice(first, first + MOST_METRICS), range, signal));
    }
    return (await Promise.all(requests)).flat();
  },

  results: (id: string, query: ResultQuery, signal?: AbortSignal) =>
    request<Page<CheckResult>>('GET', `${at(id)}/results`, { query: { ...query }, signal }),

  events: (id: string, query: { limit?: number; cursor?: string }, signal?: AbortSignal) =>
    request<Page<MonitorEvent>>('GET', `${at(id)}/events`, { query, signal }),

  uptime: (id: string, windows: string[], signal?: AbortSignal) =>
    request<Page<UptimeWindow>>('GET', `${at(id)}/uptime`, { query: { windows: windows.join(',') }, signal }),
};
