import type { RefObject } from 'preact';
import { kindTitle } from '../../api/catalogue.ts';
import type { Counts } from '../../api/types.ts';
import { setQuery } from '../../router/router.ts';
import { STATUSES, statusWord } from '../../status/status.ts';
import { Icon } from '../../ui/icons.tsx';
import { StatusIcon } from '../../ui/status-icon.tsx';
import {
  FIRST_DIRECTION,
  type Filter,
  SORT_LABELS,
  type Sort,
  sortQuery,
  statusQuery,
} from './list-model.ts';

interface Props {
  filter: Filter;
  sort: Sort;
  counts: Counts;
  kinds: readonly string[];
  search: RefObject<HTMLInputElement | null>;
}

export function Toolbar({ filter, sort, counts, kinds, search }: Props) {
  return (
    <div class="toolbar">
      <fieldset class="chips" aria-label="Filter by status">
        {STATUSES.map((status) => (
          <button
            key={status}
            type="button"
            class={`chip ${counts[status] === 0 ? 'chip-none' : ''}`}
            aria-pressed={filter.statuses.has(status)}
            onClick={() => setQuery({ status: statusQuery(filter.statuses, status) })}
          >
            <StatusIcon status={status} />
            <span>{statusWord(status)}</span>
            <strong>{counts[status]}</strong>
          </button>
        ))}
      </fieldset>
      <div class="toolbar-fields">
        <div class="search">
          <Icon name="search" />
          <input
            ref={search}
            type="search"
            placeholder="Search"
            aria-label="Search by name, kind, reason or tag"
            aria-keyshortcuts="/"
            value={filter.text}
            onInput={(event) => setQuery({ q: event.currentTarget.value })}
            onKeyDown={(event) => {
              if (event.key === 'Escape') {
                setQuery({ q: null });
                event.currentTarget.blur();
              }
            }}
          />
        </div>
        {kinds.length > 1 && (
          <select
            aria-label="Kind"
            value={filter.kind ?? ''}
            onChange={(event) => setQuery({ kind: event.currentTarget.value })}
          >
            <option value="">All kinds</option>
            {kinds.map((kind) => (
              <option key={kind} value={kind}>
                {kindTitle(kind)}
              </option>
            ))}
          </select>
        )}
        <select
          class="sort-select"
          aria-label="Sort by"
          value={sort.key}
          onChange={(event) => {
            const chosen = SORT_LABELS.find(([key]) => key === event.currentTarget.value)?.[0] ?? 'problems';
            setQuery(sortQuery({ key: chosen, direction: FIRST_DIRECTION[chosen] }));
          }}
        >
          {SORT_LABELS.map(([key, label]) => (
            <option key={key} value={key}>
              {label}
            </option>
          ))}
        </select>
      </div>
    </div>
  );
}
