import { useSignal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { bucketSeconds } from '../../live/store.ts';
import type { View } from '../../live/view.ts';
import { setQuery } from '../../router/router.ts';
import { useShortcuts } from '../../shell/shortcuts.ts';
import { isProblem } from '../../status/status.ts';
import { rangeText } from '../../ui/heartbeat-path.ts';
import { Icon } from '../../ui/icons.tsx';
import { isNarrow, rem } from '../../ui/media.ts';
import { FIRST_DIRECTION, nextProblem, type Sort, type SortKey, sortQuery } from './list-model.ts';
import { Row } from './row.tsx';
import { useRowWindow } from './window.ts';

const ROW_REM = 4.25;
const NARROW_ROW_REM = 6.5;

interface Props {
  rows: readonly View[];
  sort: Sort;
  selected: ReadonlySet<string>;
  onSelect: (ids: readonly string[], on: boolean) => void;
}

export function MonitorTable({ rows, sort, selected, onSelect }: Props) {
  const body = useRef<HTMLTableSectionElement>(null);
  const narrow = isNarrow.value;
  const rowHeight = (narrow ? NARROW_ROW_REM : ROW_REM) * rem();
  const { first, last } = useRowWindow(body, rows.length, rowHeight);
  useProblemJumps(rows, body, rowHeight);

  const chosen = rows.filter(({ item }) => selected.has(item.id)).length;
  const all = chosen > 0 && chosen === rows.length;
  return (
    <table class="monitors card" aria-rowcount={rows.length + 1}>
      <caption class="sr-only">Monitors</caption>
      <thead>
        <tr aria-rowindex={1}>
          <th scope="col" class="cell-select">
            <input
              type="checkbox"
              aria-label="Select all in this list"
              checked={all}
              indeterminate={chosen > 0 && !all}
              onChange={() =>
                onSelect(
                  rows.map(({ item }) => item.id),
                  !all,
                )
              }
            />
          </th>
          <SortHead class="cell-status" sort={sort} of="problems" label="Status" />
          <SortHead class="cell-name" sort={sort} of="name" label="Name" />
          <th scope="col" class="cell-beats">
            <span class="beats-range">
              <span>{rangeText(narrow ? 40 : 60, bucketSeconds.value)}</span>
              <span>now</span>
            </span>
          </th>
          <SortHead class="cell-uptime" sort={sort} of="uptime" label="Uptime 24 h" />
          <SortHead class="cell-latency" sort={sort} of="latency" label="Latency" />
          <SortHead class="cell-checked" sort={sort} of="checked" label="Last check" />
        </tr>
      </thead>
      <tbody ref={body} style={{ height: `${rows.length * rowHeight}px` }}>
        {rows.slice(first, last).map((view, offset) => (
          <Row
            key={view.item.id}
            view={view}
            index={first + offset}
            top={(first + offset) * rowHeight}
            narrow={narrow}
            selected={selected.has(view.item.id)}
            onSelect={(id, on) => onSelect([id], on)}
          />
        ))}
      </tbody>
    </table>
  );
}

function SortHead({
  sort,
  of,
  label,
  class: name,
}: {
  sort: Sort;
  of: SortKey;
  label: string;
  class: string;
}) {
  const active = sort.key === of;
  const toggle = () => {
    const turned = sort.direction === 'ascending' ? 'descending' : 'ascending';
    setQuery(sortQuery({ key: of, direction: active ? turned : FIRST_DIRECTION[of] }));
  };
  return (
    <th scope="col" class={name} aria-sort={active ? sort.direction : undefined}>
      <button type="button" class="sort-button" onClick={toggle}>
        {label}
        {active && <Icon name={sort.direction === 'ascending' ? 'up' : 'down'} />}
      </button>
    </th>
  );
}

/** `n` and `p` go from problem to problem, wherever in the list they are. */
function useProblemJumps(
  rows: readonly View[],
  body: RefObject<HTMLTableSectionElement | null>,
  rowHeight: number,
): void {
  const wanted = useSignal<string | null>(null);
  const reached = useRef<string | null>(null);

  const jump = (step: 1 | -1) => {
    const focused = document.activeElement?.closest<HTMLElement>('tr[data-id]')?.dataset['id'];
    // Keys may come faster than rows are drawn, and a row that scrolled away has lost the focus.
    const index = nextProblem(rows, wanted.peek() ?? focused ?? reached.current, step, isProblem);
    const view = rows[index];
    if (!view || !body.current) return;
    const top = body.current.getBoundingClientRect().top + window.scrollY + index * rowHeight;
    const visibleFrom = window.scrollY + 4 * rem();
    if (top < visibleFrom || top + rowHeight > window.scrollY + window.innerHeight) {
      window.scrollTo(0, top - window.innerHeight / 3);
    }
    wanted.value = view.item.id;
  };
  useShortcuts({ n: () => jump(1), p: () => jump(-1) });

  // The row may only be drawn after the scrolling has moved the window of rows.
  useEffect(() => {
    if (wanted.value === null) return;
    const link = body.current?.querySelector<HTMLElement>(
      `tr[data-id="${CSS.escape(wanted.value)}"] .row-link`,
    );
    if (!link) return;
    link.focus({ preventScroll: true });
    reached.current = wanted.value;
    wanted.value = null;
  });
}
