import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { visits } from '../router/router.ts';
import { pageTitle } from '../status/page-head.ts';

/** The visit whose heading has had the focus already. */
let focusedVisit = 0;

interface Props {
  title: string;
  class?: string;
  children?: ComponentChildren;
}

/**
 * The one heading of a page, which names the tab. A screen reader follows the focus, so the heading takes it when a
 * page is entered, and again when it replaces the heading of the page that was still loading.
 */
export function PageHeading({ title, class: name, children }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const visit = visits.peek();
    const nowhere = document.activeElement === null || document.activeElement === document.body;
    if (visit > 0 && (visit !== focusedVisit || nowhere)) heading.current?.focus({ preventScroll: true });
    focusedVisit = visit;
  }, []);
  useEffect(() => {
    pageTitle.value = title;
  }, [title]);
  return (
    <h1 ref={heading} class={name} tabIndex={-1}>
      {children ?? title}
    </h1>
  );
}
