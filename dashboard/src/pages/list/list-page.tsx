import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { kindTitle } from '../../api/catalogue.ts';
import { connection, hasSnapshot, views } from '../../live/store.ts';
import { location, setQuery } from '../../router/router.ts';
import { useShortcuts } from '../../shell/shortcuts.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { PageHeading } from '../heading.tsx';
import { BulkBar } from './bulk-bar.tsx';
import { countStatuses, filterViews, isFiltering, readQuery, sortViews } from './list-model.ts';
import { QuickAdd } from './quick-add.tsx';
import { MonitorTable } from './table.tsx';
import { Toolbar } from './toolbar.tsx';
import { VerdictBar } from './verdict-bar.tsx';

export function ListPage() {
  const search = useRef<HTMLInputElement>(null);
  const selected = useSignal<ReadonlySet<string>>(new Set());
  useShortcuts({ '/': () => search.current?.focus() });

  const all = views.value;
  const { filter, sort } = readQuery(location.value.query);
  const rows = sortViews(filterViews(all.values(), filter), sort);
  const kinds = [...new Set([...all.values()].map(({ item }) => item.kind))].toSorted((left, right) =>
    kindTitle(left).localeCompare(kindTitle(right)),
  );
  const select = (ids: readonly string[], on: boolean) => {
    const next = new Set(selected.peek());
    for (const id of ids) {
      if (on) next.add(id);
      else next.delete(id);
    }
    selected.value = next;
  };

  return (
    <div class="page page-list">
      <PageHeading title="Monitors" class="page-eyebrow" />
      {!hasSnapshot.value ? (
        <Waiting />
      ) : all.size === 0 ? (
        <EmptyState title="Nothing is being watched yet">
          <p>
            Paste the address of a website to see whether it answers, how fast, and for how long it has been
            so.
          </p>
          <QuickAdd />
        </EmptyState>
      ) : (
        <>
          <VerdictBar />
          <Toolbar
            filter={filter}
            sort={sort}
            counts={countStatuses(all.values())}
            kinds={kinds}
            search={search}
          />
          <p class="sr-only" role="status">
            {isFiltering(filter) ? `${rows.length} of ${all.size} monitors shown` : ''}
          </p>
          {rows.length === 0 ? (
            <EmptyState title="No monitor matches">
              <p>
                {all.size === 1 ? 'The one monitor is' : `All ${all.size} monitors are`} hidden by the search
                or the filters.
              </p>
              <button
                type="button"
                class="button"
                onClick={() => setQuery({ q: null, status: null, kind: null })}
              >
                Show all
              </button>
            </EmptyState>
          ) : (
            <MonitorTable rows={rows} sort={sort} selected={selected.value} onSelect={select} />
          )}
          <BulkBar
            selected={selected.value}
            onDone={() => {
              selected.value = new Set();
            }}
          />
        </>
      )}
    </div>
  );
}

function Waiting() {
  if (connection.value.state === 'lost') {
    return (
      <EmptyState title="The server does not answer">
        <p>No monitor can be shown until it does. This page keeps trying by itself.</p>
      </EmptyState>
    );
  }
  return (
    <p class="waiting" role="status">
      <span class="spinner" aria-hidden="true" /> Loading the monitors
    </p>
  );
}
