import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { api } from '../../api/client.ts';
import type { CheckResult } from '../../api/types.ts';
import { location, setQuery } from '../../router/router.ts';
import { serverNow } from '../../time/clock.ts';
import { At } from '../../time/time.tsx';
import { Icon } from '../../ui/icons.tsx';
import { ProblemBox } from '../../ui/problem.tsx';
import { ScrollRegion } from '../../ui/scroll-region.tsx';
import { StatusLabel } from '../../ui/status-icon.tsx';
import { millisecondsText } from '../../units/format.ts';
import { Evidence } from './evidence.tsx';

const PAGE = 20;
const REACH_MS = 90 * 86_400_000;

/** The checks themselves, newest first. */
export function Results({ id, fresh }: { id: string; fresh: string | null }) {
  const failed = location.value.query.get('failed') === '1';
  const first = useSignal<readonly CheckResult[] | null>(null);
  const older = useSignal<readonly CheckResult[]>([]);
  const cursor = useSignal<string | null>(null);
  const error = useSignal<unknown>(null);
  const loading = useSignal(false);

  const query = {
    from: new Date(serverNow() - REACH_MS).toISOString(),
    limit: PAGE,
    ...(failed ? { failed: true as const } : {}),
  };
  const refresh = (signal: AbortSignal) =>
    api
      .results(id, query, signal)
      .then((page) => {
        first.value = page.items;
        error.value = null;
        // Once older pages are on screen their cursor goes on from the last of them.
        if (older.peek().length === 0) cursor.value = page.next_cursor;
      })
      .catch((cause: unknown) => {
        if (!signal.aborted) error.value = cause;
      });

  useEffect(() => {
    older.value = [];
    first.value = null;
  }, [id, failed]);
  useEffect(() => {
    const controller = new AbortController();
    void refresh(controller.signal);
    return () => controller.abort();
  }, [id, failed, fresh]);

  const loadMore = async () => {
    if (cursor.value === null) return;
    loading.value = true;
    try {
      const page = await api.results(id, { ...query, cursor: cursor.value });
      older.value = [...older.value, ...page.items];
      cursor.value = page.next_cursor;
    } catch (cause) {
      error.value = cause;
    }
    loading.value = false;
  };

  const rows = merge(first.value ?? [], older.value);
  return (
    <section class="card section" aria-labelledby="results">
      <div class="section-head">
        <h2 id="results">Recent checks</h2>
        <label class="switch">
          <input
            type="checkbox"
            checked={failed}
            onChange={(event) => setQuery({ failed: event.currentTarget.checked ? '1' : null })}
          />
          Failed only
        </label>
      </div>
      {error.value !== null && <ProblemBox error={error.value} />}
      {first.value !== null && rows.length === 0 ? (
        <p class="dim">{failed ? 'No check has failed.' : 'No check has been made yet.'}</p>
      ) : (
        <ScrollRegion label="Table of recent checks" class="table-wide">
          <table class="table results">
            <caption class="sr-only">Recent checks, newest first</caption>
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">Status after it</th>
                <th scope="col" class="number">
                  Duration
                </th>
                <th scope="col">Outcome</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((result) => (
                <ResultRow key={result.id} result={result} />
              ))}
            </tbody>
          </table>
        </ScrollRegion>
      )}
      {cursor.value !== null && (
        <button type="button" class="button button-small" disabled={loading.value} onClick={loadMore}>
          Load more
        </button>
      )}
    </section>
  );
}

/** New checks push older ones over the edge of the first page, where they may appear twice. */
function merge(first: readonly CheckResult[], older: readonly CheckResult[]): CheckResult[] {
  const seen = new Set<string>();
  return [...first, ...older].filter(({ id }) => !seen.has(id) && seen.add(id));
}

function ResultRow({ result }: { result: CheckResult }) {
  const open = useSignal(false);
  const { evidence } = result;
  return (
    <>
      <tr>
        <td>
          <At time={result.time} />
        </td>
        <td>
          <StatusLabel status={result.status} />
        </td>
        <td class="number">{millisecondsText(result.duration_ms)}</td>
        <td class="outcome">
          <p class="clamp" title={result.message ?? undefined}>
            {result.error_class ? (
              <code class="class-name">{result.error_class}</code>
            ) : (
              <span class="tone-ok">passed</span>
            )}{' '}
            {result.probe !== 'availability' && <span class="tag">{result.probe}</span>} {result.message}
          </p>
          {evidence && (
            <button
              type="button"
              class="button button-small button-quiet"
              aria-expanded={open.value}
              onClick={() => {
                open.value = !open.value;
              }}
            >
              Evidence
              <Icon name={open.value ? 'up' : 'down'} />
            </button>
          )}
        </td>
      </tr>
      {open.value && evidence && (
        <tr class="result-evidence">
          <td colSpan={4}>
            <Evidence evidence={evidence} />
          </td>
        </tr>
      )}
    </>
  );
}
