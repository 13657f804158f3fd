import { useSignal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';

/** Up to this many rows all are in the page, so that the browser's own search finds them. */
const ALL_UP_TO = 120;
const OVERSCAN = 8;

export interface RowWindow {
  first: number;
  last: number;
}

/** Which rows are worth drawing: those one can see and a few around them. */
export function rowsInSight(
  count: number,
  rowHeight: number,
  listTop: number,
  viewHeight: number,
): RowWindow {
  if (count <= ALL_UP_TO) return { first: 0, last: count };
  const first = Math.floor(-listTop / rowHeight) - OVERSCAN;
  const last = Math.ceil((viewHeight - listTop) / rowHeight) + OVERSCAN;
  return { first: Math.min(Math.max(0, first), count), last: Math.max(0, Math.min(count, last)) };
}

export function useRowWindow(
  list: RefObject<HTMLElement | null>,
  count: number,
  rowHeight: number,
): RowWindow {
  const sight = useSignal<RowWindow>(rowsInSight(count, rowHeight, 0, 2000));
  useEffect(() => {
    let frame = 0;
    const measure = () => {
      frame = 0;
      const top = list.current?.getBoundingClientRect().top ?? 0;
      const next = rowsInSight(count, rowHeight, top, window.innerHeight);
      if (next.first !== sight.peek().first || next.last !== sight.peek().last) sight.value = next;
    };
    const onMove = () => {
      frame ||= requestAnimationFrame(measure);
    };
    measure();
    window.addEventListener('scroll', onMove, { passive: true });
    window.addEventListener('resize', onMove);
    return () => {
      cancelAnimationFrame(frame);
      window.removeEventListener('scroll', onMove);
      window.removeEventListener('resize', onMove);
    };
  }, [count, rowHeight]);
  return { first: Math.min(sight.value.first, count), last: Math.min(sight.value.last, count) };
}
